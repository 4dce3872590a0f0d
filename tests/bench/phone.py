"""One device on a raw socket, which may read as slowly as a phone does: events are decoded, the caller judges."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import perf_counter

from bench import frames, wire
from bench.crowd import ALDIS
from bench.process import HOST

READ = 16 * 1024  # bytes at a time
SMALL_WINDOW = 32 * 1024  # bytes that the kernel keeps for a slow reader; the server should not rely on more
CONNECT_TIMEOUT = 60.0

OnEvents = Callable[[str, frames.Event, float], None]


class Phone:
    """A device; `on_event` is called with source, event and time, in the order of the wire."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, on_event: OnEvents) -> None:
        """Take an open connection over."""
        self._reader = reader
        self._writer = writer
        self._on_event = on_event
        self.bytes_read = 0
        self.strange = 0  # errors, and frames that nobody should have sent

    def send(self, payload: bytes) -> None:
        """Write one command."""
        self._writer.write(wire.client_frame(payload))

    async def read(self, *, pace: int | None = None) -> None:
        """Read until the socket ends, at most `pace` bytes a second."""
        rest = b""
        while data := await self._reader.read(READ):
            self.bytes_read += len(data)
            rest = self._take(rest + data)
            if pace:
                await asyncio.sleep(len(data) / pace)

    def _take(self, data: bytes) -> bytes:
        now = perf_counter()
        cut, rest = wire.cut(data)
        for first, start, stop in cut:
            if first == wire.TEXT:
                self._on_frame(frames.decode(data[start:stop]), now)
            else:
                self.strange += 1
        return data[rest:]

    def _on_frame(self, news: frames.Frame, now: float) -> None:
        for event in news.events:
            self._on_event(news.source or "", event, now)
        if news.ping is not None:
            self.send(frames.PONG)
        elif news.error is not None or news.disconnect is not None:
            self.strange += 1


@asynccontextmanager
async def open_phone(port: int, hello: bytes, on_event: OnEvents, *, pace: int | None = None) -> AsyncIterator[Phone]:
    """Connect a device and read in the background for as long as the block lasts."""
    async with asyncio.timeout(CONNECT_TIMEOUT):
        reader, writer = await _connect(port, is_slow=pace is not None)
        writer.write(wire.upgrade_request(host=f"{HOST}:{port}", path=ALDIS.path, subprotocol=ALDIS.subprotocol))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(wire.client_frame(hello))
    phone = Phone(reader, writer, on_event)
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(phone.read(pace=pace))
        try:
            yield phone
        finally:
            reading.cancel()
            writer.close()


async def _connect(port: int, *, is_slow: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    opened = socket.socket()
    opened.setblocking(False)
    if is_slow:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_WINDOW)  # before the window is agreed
    await asyncio.get_running_loop().sock_connect(opened, (HOST, port))
    return await asyncio.open_connection(sock=opened, limit=READ)
