"""The same stream over HTTP: server-sent events, and long poll, each a connection of the hub like any socket.

What is written to the answer counts as sent. Each server-sent event has the cursor after it as its id, so a client that
comes back with `Last-Event-ID` goes on right behind what it has got.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress

from aldis.domain.ids import new_id
from aldis.domain.streams import BroadcastSource, Event, Source
from aldis.gateway.connection import Connection
from aldis.gateway.context import GatewayContext
from aldis.gateway.frames import news
from aldis.gateway.hub import PING, feed_now
from aldis.gateway.opening import open_connection, welcome_of
from aldis.gateway.outlet import HttpOutlet, payload_of
from aldis.ports.http_streams import Poll, StreamRequest
from aldis.services.connect_device import ConnectDevice
from aldis.telemetry.tasks import spawn

POLL_BYTES = 256 * 1024  # in one answer to a poll; what is left comes with the next
PAGE_SECONDS = 5.0  # that a poll waits for a page of what it knows to be there
_PING = payload_of(PING)


class HttpConnection(Connection):
    """A connection whose frames go into an answer, each with the cursor after it."""

    __slots__ = ("outlet",)

    def __init__(self, context: GatewayContext, request: StreamRequest) -> None:
        self.outlet = HttpOutlet()
        super().__init__(self.outlet, context, None)
        self.user = request.user
        self.device = request.device
        self.platform = "http"
        self.expires_at = request.expires_at
        self.connection_id = new_id(context.clock.now_ms())

    def write_events(self, source: Source, events: Sequence[Event], frame: bytes) -> None:
        """Write events, and where the client stands after them."""
        super().write_events(source, events, frame)
        self.outlet.mark(self.cursor)

    def offer_broadcast(self, source: BroadcastSource, first: int, last: int, frame: bytes) -> bool:
        """The same for a broadcast."""
        is_written = super().offer_broadcast(source, first, last, frame)
        if is_written:
            self.outlet.mark(self.cursor)
        return is_written

    def fed(self) -> None:
        """The same; who waits for more is told, also when nothing of it was for this user."""
        super().fed()
        self.outlet.mark(self.cursor)
        self.outlet.wake()

    def show_life(self) -> None:
        """The client has taken what it was given, which is all the sign of life it can give."""
        self.pinged = False
        self.heard_at = self.context.clock.now_ms()


class GatewayHttpStreams:
    """Opens them; one instance a gateway."""

    def __init__(self, context: GatewayContext) -> None:
        self._context = context

    async def events(self, request: StreamRequest) -> AsyncGenerator[bytes]:
        """A stream that is open already; its first event is what a socket is answered to `connect`."""
        connection, _ = await self._open(request)
        return _pieces(connection)

    async def poll(self, request: StreamRequest, wait: float) -> Poll:
        """Gather until there is something and nothing more is known of."""
        connection, recovered = await self._open(request)
        cursor = connection.cursor
        frames: list[bytes] = []
        try:
            await _gather(connection, wait, frames)
        finally:
            connection.lost()
        return Poll(frames=frames, cursor=connection.outlet.cursor or cursor, recovered=recovered)

    async def _open(self, request: StreamRequest) -> tuple[HttpConnection, bool]:
        connection = HttpConnection(self._context, request)
        try:
            wanted = ConnectDevice(request.user, request.device, connection.platform, request.cursor)
            attachment = await open_connection(connection, wanted)
        except BaseException:
            connection.lost()
            raise
        connection.attach(attachment.start, attachment.head)
        connection.outlet.welcome = news("connect", welcome_of(connection, attachment))
        self._context.metrics.connections_opened.inc()
        if connection.behind:
            self._context.metrics.gap_reads.labels(reason="connect").inc()
            connection.feeding = True
            _ = spawn(feed_now(connection), "http-feed")
        return connection, attachment.recovered


async def _gather(connection: HttpConnection, wait: float, frames: list[bytes]) -> None:
    """Take frames until enough are there; the last look is at the very end, so that nothing written is left behind."""
    outlet, loop = connection.outlet, asyncio.get_running_loop()
    deadline = loop.time() + wait
    while True:
        frames += [payload for payload, _ in outlet.take() if payload != _PING]
        is_coming = bool(connection.behind) or connection.feeding
        left = PAGE_SECONDS if is_coming else deadline - loop.time()
        if not outlet.is_open or sum(map(len, frames)) >= POLL_BYTES or (frames and not is_coming) or left <= 0:
            return
        connection.show_life()
        with suppress(TimeoutError):
            async with asyncio.timeout(left):
                await outlet.wait()
                continue
        if is_coming:
            return  # the store does not answer: the cursor says what was handed over


async def _pieces(connection: HttpConnection) -> AsyncGenerator[bytes]:
    """Server-sent events until the connection ends (WHATWG HTML §9.2)."""
    outlet = connection.outlet
    try:
        yield b"retry: 1000\n\n" + _event(outlet.welcome, connection.cursor)
        while True:
            await outlet.wait()
            taken = outlet.take()
            if taken:
                yield b"".join(b": ping\n\n" if payload == _PING else _event(payload, at) for payload, at in taken)
            connection.show_life()
            if not outlet.is_open:
                return
    finally:
        connection.lost()


def _event(payload: bytes, cursor: str | None) -> bytes:
    """One event; JSON has no line breaks, so its data is one line."""
    return b"%bdata: %b\n\n" % (b"id: %b\n" % cursor.encode() if cursor is not None else b"", payload)
