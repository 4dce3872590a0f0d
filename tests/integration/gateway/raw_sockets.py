"""A WebSocket client down to its bytes: it can send what no library would, and read as slowly as a test wants."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, NamedTuple

from served import Server

Json = dict[str, Any]
TEXT, CLOSE, PONG = 1, 8, 10
NO_MASK_AT_ALL = b"\0\0\0\0"  # a mask that changes nothing: frames can be read in a dump, and cost nothing to make
WAIT = 10.0
HANDSHAKE = (
    b"GET /v1/connect HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_numbers = count(1)


class Ended(Exception):
    """The socket has ended; `code` is that of the close frame, None when there was none."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


class Frame(NamedTuple):
    """A frame as it came."""

    opcode: int
    payload: bytes


def client_frame(payload: bytes, opcode: int = TEXT, *, fin: bool = True) -> bytes:
    """A frame with the mask that changes nothing."""
    first, size = (0x80 if fin else 0) | opcode, len(payload)
    if size < 126:
        head = bytes([first, 0x80 | size])
    elif size < 65_536:
        head = bytes([first, 0x80 | 126]) + size.to_bytes(2)
    else:
        head = bytes([first, 0x80 | 127]) + size.to_bytes(8)
    return head + NO_MASK_AT_ALL + payload


class RawSocket:
    """One TCP connection. `window` is its receive buffer, where what the server has sent waits."""

    def __init__(self, *, window: int | None = None) -> None:
        self._socket = socket.socket()
        self._socket.setblocking(False)
        if window is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self._buffer = bytearray()
        self._start = 0
        self.cut_off = False

    async def open(self, server: Server, *, handshake: bytes | None = HANDSHAKE) -> None:
        """Connect, and unless there is no handshake to send, wait for its answer."""
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self._socket, ("127.0.0.1", server.own_port))
        if handshake is None:
            return
        await self.write(handshake)
        while b"\r\n\r\n" not in self._buffer:
            assert await self.fill(), "no answer to the handshake"
        assert self._buffer.startswith(b"HTTP/1.1 101 ")
        self._start = self._buffer.index(b"\r\n\r\n") + 4

    async def connect(self, server: Server, user: str, **more: Any) -> Json:
        """Open, say the first command, and give its answer."""
        await self.open(server)
        await self.say({"id": 0, "connect": {"token": server.token(user), **more}})
        answer: Json = json.loads((await self.frame()).payload)
        assert "connect" in answer, answer
        welcome: Json = answer["connect"]
        return welcome

    async def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def say(self, command: Json) -> None:
        """Send a command."""
        await self.write(client_frame(json.dumps(command).encode()))

    async def fill(self, most: int = 65_536, *, seconds: float = WAIT) -> int:
        """Read at most so many bytes; answer how many came, 0 at the end."""
        if self._start > 1_000_000:
            del self._buffer[: self._start]
            self._start = 0
        try:
            async with asyncio.timeout(seconds):
                await asyncio.sleep(0)  # what is there is given at once: without this, others here would starve
                data = await asyncio.get_running_loop().sock_recv(self._socket, most)
        except ConnectionError:
            self.cut_off = True
            return 0
        self._buffer += data
        return len(data)

    def frame_nowait(self) -> Frame | None:
        """The next frame, if it is there whole. Raises `Ended` for a close frame."""
        buffer, at = self._buffer, self._start
        if len(buffer) < at + 2:
            return None
        size, head = buffer[at + 1], 2
        if size == 126:
            size, head = int.from_bytes(buffer[at + 2 : at + 4]), 4
        elif size == 127:
            size, head = int.from_bytes(buffer[at + 2 : at + 10]), 10
        if len(buffer) < at + head + size:
            return None
        assert buffer[at] & 0x70 == 0, "a reserved bit is set"
        assert buffer[at] & 0x80, "the server never cuts a message into fragments"
        self._start = at + head + size
        frame = Frame(buffer[at] & 0x0F, bytes(buffer[at + head : at + head + size]))
        if frame.opcode == CLOSE:
            raise Ended(int.from_bytes(frame.payload[:2]) if frame.payload else None)
        return frame

    async def frame(self) -> Frame:
        """The next frame. Raises `Ended`."""
        while (frame := self.frame_nowait()) is None:
            if not await self.fill():
                raise Ended(None)
        return frame

    def finish(self) -> None:
        """Say that nothing more will be sent."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Be gone."""
        self._socket.close()


@asynccontextmanager
async def raw_socket(*, window: int | None = None) -> AsyncGenerator[RawSocket]:
    """A socket that is closed at the end."""
    raw = RawSocket(window=window)
    try:
        yield raw
    finally:
        raw.close()
