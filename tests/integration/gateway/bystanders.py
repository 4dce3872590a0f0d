"""Two users who only want to talk, and how long each of their messages takes while others misbehave."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aldis.telemetry.tasks import cancel_and_wait, spawn
from integration.gateway.sockets import Client, chat, connected, new_name
from served import Server

PAUSE = 0.02  # seconds between messages


class Bystanders:
    """A pair that exchanges messages; `latencies` are seconds from the sending to the arrival."""

    def __init__(self, sender: Client, receiver: Client, name: str) -> None:
        self._sender = sender
        self._receiver = receiver
        self._name = name
        self.latencies: list[float] = []

    async def talk(self) -> None:
        """Send one message after the other; each must be answered and arrive, in order."""
        for number in range(10**9):
            begun = time.perf_counter()
            stored = await self._sender.send(chat(self._name, str(number)))
            (event,) = await self._receiver.events("s", 1)
            assert event["message"]["id"] == stored["message_id"]
            assert event["pos"] == number + 1
            self.latencies.append(time.perf_counter() - begun)
            self._sender.news.clear()
            await asyncio.sleep(PAUSE)

    def take(self) -> list[float]:
        """The latencies since the last time."""
        taken, self.latencies = self.latencies, []
        return taken


@asynccontextmanager
async def bystanders(server: Server) -> AsyncGenerator[Bystanders]:
    """A pair that talks while the block is open; when it cannot go on, the block's end says so."""
    name = new_name("bystander")
    async with connected(server, new_name("friend")) as sender, connected(server, name) as receiver:
        pair = Bystanders(sender, receiver, name)
        task = spawn(pair.talk(), "bystanders")
        try:
            yield pair
        finally:
            if task.done():
                await task
            await cancel_and_wait(task)


def percentile(values: list[float], part: float) -> float:
    """The value that `part` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def told(values: list[float]) -> str:
    """A line about latencies, in milliseconds."""
    p50, p99, worst = (percentile(values, part) * 1000 for part in (0.5, 0.99, 1))
    return f"n={len(values)} p50={p50:.1f} p99={p99:.1f} max={worst:.1f} ms"
