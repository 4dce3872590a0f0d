import asyncio
import json
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from aldis.gateway.close_codes import CloseCode
from aldis.telemetry.tasks import spawn
from integration.gateway.bystanders import bystanders, told
from integration.gateway.conftest import alarms
from integration.gateway.mutations import Json, corpus, encode, garbage, mutate, mutate_bytes
from integration.gateway.raw_sockets import HANDSHAKE, PONG, TEXT, Ended, Frame, RawSocket, client_frame, raw_socket
from integration.gateway.sockets import chat, connected, new_name, open_socket, refusal
from served import Server, served

SEED = 20_261_124
FRAMES = 100_000
CONNECTIONS = 4
BURST = 40  # frames before one that may end the connection
GARBAGE = 1_500  # connections that bring garbage instead of frames, and as many instead of a handshake
MEMORY_GROWTH = 128 * 1024 * 1024
REPLIES = {"connect", "send", "read", "presence", "refresh", "pong", "error"}
NEWS = {"error", "ping", "pong", "disconnect", "source", "ephemeral"}
CLOSES = {*CloseCode, 1000, 1001, 1002, 1003, 1007, 1009}  # ours, and RFC 6455's for what a client does wrong


class Fuzzer:
    """One user's connections, one after the other, and what came of them."""

    def __init__(self, server: Server, rng: random.Random, seen: Counter[str]) -> None:
        self._server = server
        self._rng = rng
        self._seen = seen
        self._user = new_name("mallory")
        self._sent = 0
        self._number = 0
        self._acks: dict[str, int] = {}
        self._corpus: list[Json] = []

    async def run(self, frames: int) -> None:
        """Send so many frames, however many connections that takes."""
        other = new_name("victim")
        async with connected(self._server, self._user) as client:
            stored = await client.send(chat(other))
        places = (stored["conversation_id"], stored["message_id"], "fuzz")
        self._corpus = corpus(self._user, other, self._server.token(self._user), *places)
        while self._sent < frames:
            async with raw_socket() as raw:
                await raw.connect(self._server, self._user, device={"id": "d"})
                self._seen["connections"] += 1
                try:
                    while self._sent < frames:
                        await self._burst(raw)
                except Ended as ended:
                    self._note_end(raw, ended)

    def _note_end(self, raw: RawSocket, ended: Ended) -> None:
        self._seen["cut off" if raw.cut_off else f"closed {ended.code}"] += 1
        assert raw.cut_off or ended.code in CLOSES, ended.code

    async def _burst(self, raw: RawSocket) -> None:
        """Frames, then one that may end all, then a question whose answer shows that the rest has been answered."""
        self._number += 1
        probe = f"probe-{self._number}"
        good = {"to": {"user": "nobody"}, "client_id": probe, "content": {"type": "text", "text": probe}}
        said = [client_frame(encode({"id": self._rng.randrange(9), **self._mutant()})) for _ in range(BURST)]
        said += [client_frame(encode({"ack": self._acks})) if self._acks else b"", self._risky()]
        said.append(client_frame(encode({"id": 10**6 + self._number, "send": good})))
        self._acks = {}
        self._sent += BURST + 1
        await raw.write(b"".join(said))
        while self._note(await raw.frame()) != 10**6 + self._number:
            pass

    def _mutant(self) -> Json:
        command = mutate(self._rng.choice(self._corpus), self._rng)
        if isinstance(command.get("send"), dict) and self._rng.random() < 0.5:
            command["send"]["client_id"] = f"m-{self._rng.randrange(10**9)}"
        return command

    def _risky(self) -> bytes:
        said = encode({"id": 7, **self._rng.choice(self._corpus)})
        match self._rng.randrange(7):
            case 0 | 1 | 2:
                return client_frame(mutate_bytes(said, self._rng))
            case 3:
                return client_frame(self._rng.randbytes(self._rng.randrange(300)), self._rng.choice((TEXT, 2)))
            case 4:
                return client_frame(b'{"id":1,"send":"' + b"x" * self._rng.choice((60_000, 65_500, 70_000)) + b'"}')
            case 5:
                at = self._rng.randrange(len(said))
                return client_frame(said[:at], fin=False) + client_frame(b"hi", 9) + client_frame(said[at:], 0)
            case _:
                return client_frame(encode(self._rng.choice(([], 1, "x", None, [{}]))))

    def _note(self, frame: Frame) -> int | None:
        """Check that it is a frame of the contract, and count it; answer its id."""
        if frame.opcode == PONG:
            self._seen["pong frame"] += 1
            return None
        assert frame.opcode == TEXT
        said: Json = json.loads(frame.payload)
        kinds = set(said) - {"id", "events"}
        assert len(kinds) == 1, said
        (kind,) = kinds
        assert kind in (REPLIES if "id" in said else NEWS), said
        if kind == "error":
            self._seen[f"error {refusal(said)[0]}"] += 1
        else:
            self._seen[kind] += 1
        if kind == "source":
            self._acks[said["source"]] = said["events"][-1]["pos"]
        number: int | None = said.get("id")
        return number


async def throw(server: Server, data: bytes, *, handshake: bytes | None, seen: Counter[str]) -> None:
    """Send bytes, then nothing more: the server ends it, whatever they were."""
    async with raw_socket() as raw:
        await raw.open(server, handshake=handshake)
        await raw.write(data)
        raw.finish()
        while await raw.fill():
            pass
        seen["garbage at the handshake" if handshake is None else "garbage in frames"] += 1


async def throw_garbage(server: Server, rng: random.Random, seen: Counter[str]) -> None:
    """Garbage in the place of frames, and in the place of the handshake."""
    for number in range(GARBAGE):
        frame = client_frame(b'{"id":1,"ping":{}}') + client_frame(b"", 8)
        data = garbage(rng) if number % 2 == 0 else mutate_bytes(frame, rng)
        await throw(server, data, handshake=HANDSHAKE, seen=seen)
        data = garbage(rng) if number % 3 == 0 else mutate_bytes(HANDSHAKE, rng)
        await throw(server, data, handshake=None, seen=seen)


async def stay_silent(server: Server) -> tuple[float, int | None]:
    """Open a socket and say nothing: how long it lasts, and how it ends."""
    begun = time.monotonic()
    async with open_socket(server) as client, asyncio.timeout(20):
        await client.socket.wait_closed()
        return time.monotonic() - begun, client.socket.close_code


async def say_half_a_head(server: Server) -> float:
    """Begin a request and say no more: how long that lasts."""
    begun = time.monotonic()
    async with raw_socket() as raw:
        await raw.open(server, handshake=None)
        await raw.write(HANDSHAKE[:40])
        assert await raw.fill(seconds=20) == 0
        return time.monotonic() - begun


@pytest.mark.slow
@pytest.mark.timeout(90)
async def test_whatever_is_sent_is_answered_as_documented_and_harms_nobody_else(tmp_path: Path) -> None:
    """100,000 mutated frames and 3,000 pieces of garbage: documented errors and close codes, no traceback, no hang.

    Two bystanders talk all the while: each message arrives within a second, and their sockets last. A third, who has
    opened a socket and says nothing, is sent away after ten seconds, and so is one who does not finish his handshake.
    """
    print(f"\nseed {SEED}")
    async with served(tmp_path, open_throttle=True) as server, bystanders(server) as pair:
        async with connected(server, "resident", "d") as resident:
            silent, half = spawn(stay_silent(server), "silent"), spawn(say_half_a_head(server), "half")
            rss, begun, seen = server.rss(), time.perf_counter(), Counter[str]()
            async with asyncio.TaskGroup() as group:
                for number in range(CONNECTIONS):
                    rng = random.Random(SEED + number)
                    group.create_task(Fuzzer(server, rng, seen).run(FRAMES // CONNECTIONS))
                group.create_task(throw_garbage(server, random.Random(SEED - 1), seen))
            seconds, growth = time.perf_counter() - begun, server.rss() - rss
            lasted, code = await silent
            half_lasted = await half
            assert "pong" in await resident.ask(ping={})

        print(f"{FRAMES} frames in {seconds:.1f} s; memory {rss >> 20} MiB, grown by {growth / 2**20:.1f} MiB")
        for what, number in sorted(seen.items()):
            print(f"  {number:7d} {what}")
        print(f"bystanders: {told(pair.latencies)}; silent socket: {code} after {lasted:.1f} s")
        print(f"half a handshake: ended after {half_lasted:.1f} s")
        assert alarms(server) == []
        assert server.is_running
        assert max(pair.latencies) < 1
        assert growth < MEMORY_GROWTH
        assert code == CloseCode.NO_PONG
        assert 9 < lasted < 15
        assert 9 < half_lasted < 15
        assert seen["cut off"] == 0
