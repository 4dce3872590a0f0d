"""HTTP/1.1 over kept connections, by hand: requests in, status and body out, with callbacks and no task for each."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

from bench.process import HOST

OnAnswer = Callable[[int, bytes], None]
LOST = 0  # the status of a request whose connection ended before the answer
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Lines:
    """Kept connections, each with one request on its way; more requests wait in order for a line that is free."""

    def __init__(self) -> None:
        """Begin without a connection."""
        self._free: deque[Line] = deque()
        self._waiting: deque[tuple[bytes, OnAnswer]] = deque()

    def ask(self, request: bytes, on_answer: OnAnswer) -> None:
        """Send a request as soon as a line is free; the one that has rested longest takes it."""
        if self._free:
            self._free.popleft().ask(request, on_answer)
        else:
            self._waiting.append((request, on_answer))

    async def answer(self, request: bytes) -> tuple[int, bytes]:
        """Send a request and wait for its answer."""
        answered: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self.ask(request, lambda status, body: answered.set_result((status, body)))
        return await answered

    def release(self, line: "Line") -> None:
        """Give a line its next request, or let it rest."""
        if self._waiting:
            line.ask(*self._waiting.popleft())
        else:
            self._free.append(line)

    def drop(self, line: "Line") -> None:
        """Ask nothing more of a line that has ended."""
        if line in self._free:
            self._free.remove(line)


class Line(asyncio.Protocol):
    """One connection."""

    def __init__(self, lines: Lines) -> None:
        """Prepare a connection that belongs to `lines`."""
        self._lines = lines
        self._transport: asyncio.Transport | None = None
        self._on_answer: OnAnswer | None = None
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be there for requests."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self._lines.release(self)

    def ask(self, request: bytes, on_answer: OnAnswer) -> None:
        """Send a request; the one before has been answered."""
        assert self._transport is not None, "a line that has ended is asked nothing"
        self._on_answer = on_answer
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer."""
        self._data += data
        end = self._data.find(_HEAD_END)
        if end < 0:
            return
        start = end + len(_HEAD_END)
        stop = start + content_length(self._data[:start])
        if len(self._data) >= stop:
            status, body, self._data = int(self._data[9:12]), self._data[start:stop], self._data[stop:]
            self._finish(status, body)
            self._lines.release(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Say that the answer will not come, and take no more requests."""
        self._transport = None
        self._lines.drop(self)
        self._finish(LOST, b"")

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()

    def _finish(self, status: int, body: bytes) -> None:
        on_answer, self._on_answer = self._on_answer, None
        if on_answer is not None:
            on_answer(status, body)


@asynccontextmanager
async def open_lines(port: int, count: int) -> AsyncIterator[Lines]:
    """Keep `count` connections for as long as the block lasts."""
    lines = Lines()
    loop = asyncio.get_running_loop()
    opened = [(await loop.create_connection(lambda: Line(lines), HOST, port))[1] for _ in range(count)]
    try:
        yield lines
    finally:
        for line in opened:
            line.close()


def content_length(head: bytes) -> int:
    """Return the length of the body that a response's head tells of; it tells of one in every answer here."""
    lower = head.lower()
    at = lower.find(_LENGTH)
    if at < 0:
        return 0
    return int(lower[at + len(_LENGTH) : lower.find(b"\r\n", at)])


def build_request(method: str, path: str, *, port: int, credential: str | None = None, body: bytes = b"") -> bytes:
    """Return a request with a JSON body."""
    head = [
        f"{method} {path} HTTP/1.1",
        f"Host: {HOST}:{port}",
        *([f"Authorization: Bearer {credential}"] if credential else []),
        *(["Content-Type: application/json", f"Content-Length: {len(body)}"] if body else []),
    ]
    return ("\r\n".join(head) + "\r\n\r\n").encode() + body
