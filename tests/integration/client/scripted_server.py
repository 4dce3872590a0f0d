"""A server that plays one script a connection, so that a test can say word for word what the client meets."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

Frame = dict[str, Any]
START = "k.e0.s0.be0.bs0.r0"


class Peer:
    """The server's side of one connection. Reading passes over acknowledgements, which are kept in `acks`."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.acks: list[dict[str, int]] = []

    async def tell(self, frame: Frame) -> None:
        await self.socket.send(json.dumps(frame))

    async def hear(self) -> Frame:
        frame: Frame = json.loads(await self.socket.recv())
        if "ack" in frame:
            self.acks.append(frame["ack"])
        return frame

    async def expect(self, name: str) -> Frame:
        while name not in (frame := await self.hear()):
            assert "ack" in frame, f"{name} was due, {frame} came"
        return frame

    async def expect_ack(self, positions: dict[str, int]) -> None:
        """Read until `positions` have been acknowledged."""
        while not any(ack.items() >= positions.items() for ack in self.acks):
            await self.expect("ack")

    async def welcome(self, cursor: str = START, *, recovered: bool = True) -> Frame:
        hello = await self.expect("connect")
        fields = {"connection": "n1", "user": "alice", "cursor": cursor, "recovered": recovered, "ping_interval": 25}
        await self.tell({"id": hello["id"], "connect": {**fields, "limits": {"text": 32768}}})
        connect: Frame = hello["connect"]
        return connect

    async def happen(self, source: str, *positions: int, text: str = "hi") -> None:
        events = [
            {
                "pos": at,
                "type": "message",
                "message": {"id": f"{source}{at}", "content": {"type": "text", "text": text}},
            }
            for at in positions
        ]
        await self.tell({"source": source, "events": events})

    async def accept(self, send: Frame, seq: int = 1, *, duplicate: bool = False) -> None:
        answer = {
            "message_id": f"of-{send['send']['client_id']}",
            "conversation_id": "c",
            "seq": seq,
            "created_at": "2026-01-02T03:04:05.678Z",
            "duplicate": duplicate,
        }
        await self.tell({"id": send["id"], "send": answer})

    async def refuse(self, command: Frame, code: str, *, retryable: bool = False, retry_after_ms: int = 0) -> None:
        error = {"code": code, "message": "no", "field": "to", "retryable": retryable, "retry_after_ms": retry_after_ms}
        await self.tell({"id": command["id"], "error": error})

    def drop(self) -> None:
        """Cut the line, without a word."""
        self.socket.transport.abort()

    async def stay(self) -> None:
        """Keep the connection and read what comes, until the client goes."""
        try:
            while True:
                await self.hear()
        except ConnectionClosed:
            pass


Script = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def scripted(*scripts: Script, **options: Any) -> AsyncIterator[str]:
    """Serve the scripts, one a connection in order; gives the url. At the end, all were played and none failed."""
    waiting, failures = list(scripts), list[AssertionError]()

    async def play(socket: ServerConnection) -> None:
        try:
            assert waiting, "a connection came that was not expected"
            await waiting.pop(0)(Peer(socket))
        except ConnectionClosed:
            pass  # A test that ends before its script does is not at fault.
        except AssertionError as error:
            failures.append(error)
            await socket.close(4400, "the script failed")

    async with serve(
        play, "127.0.0.1", 0, subprotocols=[Subprotocol("aldis.v1")], compression=None, **options
    ) as server:
        try:
            yield f"ws://127.0.0.1:{port_of(server)}/v1/connect"
        finally:
            if failures:
                raise failures[0]
    assert not waiting, f"{len(waiting)} connections were expected and not made"


def port_of(server: Server) -> int:
    port: int = next(iter(server.sockets)).getsockname()[1]
    return port


async def wait_until(is_so: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for a condition, looking often."""
    async with asyncio.timeout(seconds):
        while not is_so():
            await asyncio.sleep(0.002)
