"""Many users with several devices each, all connected, and the loads they make."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from aldis.telemetry.tasks import cancel_and_wait, spawn
from integration.promise.bare_device import BareDevice
from integration.promise.client_device import ClientDevice
from integration.promise.ledger import Ledger
from served import Server

CONNECT_SECONDS = 30.0
TICK_SECONDS = 0.01
POLL_SECONDS = 0.05
HIGH_SHARE = 0.3  # of the messages, in the express lane
CHANNEL = "news"

Device = BareDevice | ClientDevice


@dataclass(slots=True)
class Crowd:
    """The users, and the devices of theirs that send."""

    devices: list[Device]
    senders: list[Device]
    users: list[str]

    def check_clients(self, ledger: Ledger) -> None:
        """Fail unless every application with the Python client was shown each of its messages exactly once."""
        owed = ledger.owed()
        for device in self.devices:
            if isinstance(device, ClientDevice):
                expected = dict.fromkeys(owed.get(device.user, ()), 1)
                assert dict(device.shown) == expected, f"{device.witness.user}/{device.witness.device} was shown others"

    @property
    def shows_all(self) -> Callable[[], bool]:
        """Whether every application has been shown as much as its witness saw."""
        return lambda: all(
            len(device.shown) >= len(device.witness.shown)
            for device in self.devices
            if isinstance(device, ClientDevice)
        )


@asynccontextmanager
async def gathered(
    server: Server, ledger: Ledger, *, users: int, clients: int, bare: int, bare_senders: int
) -> AsyncGenerator[Crowd]:
    """Users with `clients` devices on the Python client, the first of which sends, and `bare` ones, some sending too.

    Every other bare device has no storage and resumes by what it has acknowledged.
    """
    names = [f"user-{number}" for number in range(users)]
    devices: list[Device] = []
    senders: list[Device] = []
    for name in names:
        token = server.token(name)
        own: list[Device] = [
            ClientDevice(server.ws_url, token, ledger.witness(name, f"client-{number}"), ledger)
            for number in range(clients)
        ]
        senders += own[:1]
        alone: list[Device] = [
            BareDevice(
                server.ws_url, token, ledger.witness(name, f"bare-{number}"), ledger, keeps_cursor=number % 2 == 0
            )
            for number in range(bare)
        ]
        senders += alone[:bare_senders]
        devices += own + alone
    tasks = [spawn(device.run(), device.witness.device) for device in devices]
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.gather(*(device.is_up.wait() for device in devices))
        ledger.started = time.monotonic()
        yield Crowd(devices, senders, names)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        await cancel_and_wait(*tasks)


@dataclass(slots=True)
class Chatter:
    """Chats between random users: `rate` a second, or without one as many as are answered."""

    crowd: Crowd
    ledger: Ledger
    random: random.Random
    rate: float | None
    window: int  # sends of one device without an answer
    is_stopped: bool = False
    _count: int = 0

    async def run(self) -> None:
        """Send until stopped. What cannot leave in its moment is not made up for later."""
        last, credit = time.monotonic(), 0.0
        while not self.is_stopped:
            now = time.monotonic()
            if self.rate is None:
                self._fill()
            else:
                credit = min(credit + (now - last) * self.rate, self.rate * 0.1)
                while credit >= 1:
                    credit -= 1
                    self._send(self.random.choice(self.crowd.senders))
            last = now
            await asyncio.sleep(TICK_SECONDS)

    def _fill(self) -> None:
        for sender in self.crowd.senders:
            for _ in range(self.window - sender.outstanding):
                self._send(sender)

    def _send(self, sender: Device) -> None:
        if sender.outstanding >= self.window:
            return
        to = self.random.choice(self.crowd.users)
        if to == sender.user:
            return
        self._count += 1
        priority = "high" if self.random.random() < HIGH_SHARE else "normal"
        sender.send(to, f"chat-{self._count}", priority)


@dataclass(slots=True)
class Notifier:
    """A backend that notifies random users by REST, each time under one client id until it is told 201."""

    server: Server
    key: str
    crowd: Crowd
    ledger: Ledger
    random: random.Random
    rate: float
    is_stopped: bool = False
    refusals: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Send until stopped."""
        headers = {"authorization": f"Bearer {self.key}"}
        count = 0
        async with httpx2.AsyncClient(base_url=self.server.url, headers=headers, trust_env=False, timeout=5) as http:
            while not self.is_stopped:
                count += 1
                user = self.random.choice(self.crowd.users)
                await self._notify(http, user, f"note-{count}")
                await asyncio.sleep(1 / self.rate)

    async def _notify(self, http: httpx2.AsyncClient, user: str, client_id: str) -> None:
        self.ledger.sending(client_id, user)
        body = {
            "to": {"user": user},
            "kind": "notification",
            "channel": CHANNEL,
            "content": {"type": "json", "data": {"note": client_id}},
            "priority": "urgent" if self.random.random() < HIGH_SHARE else "normal",
            "client_id": client_id,
        }
        while (answer := await self._post(http, body)) is None:
            await asyncio.sleep(POLL_SECONDS)
        self.ledger.answered(
            client_id,
            answer["message_id"],
            answer["conversation_id"],
            answer["seq"],
            duplicate=answer["duplicate"],
        )

    async def _post(self, http: httpx2.AsyncClient, body: dict[str, Any]) -> dict[str, Any] | None:
        try:
            response = await http.post("/v1/messages", json=body)
        except httpx2.TransportError:
            return None
        if response.status_code == httpx2.codes.CREATED:
            answer: dict[str, Any] = response.json()
            return answer
        if response.status_code < httpx2.codes.INTERNAL_SERVER_ERROR:
            self.ledger.faults.append(f"a notification was refused: {response.status_code} {response.text}")
        return None


async def open_channel(server: Server, folder: Path, name: str = CHANNEL) -> str:
    """Declare a notification channel and make a key that may send through it; answers the key."""
    file = folder / "channel.yaml"
    resource = (
        f"apiVersion: aldis.dev/v1alpha1\nkind: Channel\nmetadata: {{name: {name}}}\nspec: {{type: Notification}}\n"
    )
    await asyncio.to_thread(file.write_text, resource)
    await server.aldis("channel", "apply", str(file))
    return await server.key("promise")


async def wait_until(condition: Callable[[], bool], what: str, *, seconds: float = 30) -> None:
    """Wait for a condition. Raises `AssertionError` naming it when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds} s still not: {what}"
        await asyncio.sleep(POLL_SECONDS)


async def wait_delivered(ledger: Ledger, crowd: Crowd, *, seconds: float = 30) -> None:
    """Wait until all sends are answered and all that was promised has come."""
    await wait_until(lambda: not ledger.unanswered, "every send is answered", seconds=seconds)
    await wait_until(lambda: not ledger.count_missing(), "every promised message has come", seconds=seconds)
    await wait_until(crowd.shows_all, "every application has been shown all", seconds=seconds)


def stop(loads: Sequence[Chatter | Notifier]) -> None:
    """Let loads come to their end."""
    for load in loads:
        load.is_stopped = True
