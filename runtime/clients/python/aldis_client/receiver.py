"""Takes news from a connection into the inbox, on to the application, and acknowledges what is stored."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from aldis_client.acks import MAX_WAIT_SECONDS, Acks
from aldis_client.connection import Connection, Frame, Welcome
from aldis_client.cursor import SOURCES, Cursor
from aldis_client.ending import Ending
from aldis_client.event_queue import EventQueue
from aldis_client.events import Event, parse_ephemeral, parse_events
from aldis_client.inbox import Inbox
from aldis_client.stats import Stats

log = logging.getLogger("aldis_client")

OnReset = Callable[[Cursor], Awaitable[None] | None]
OnEphemeral = Callable[[Event], None]


class Receiver:
    """The reading half of the client; outlives its connections.

    With `auto_ack` all that is stored is acknowledged; without, only what `acknowledge` is told.
    """

    def __init__(
        self,
        *,
        inbox: Inbox,
        queue: EventQueue,
        auto_ack: bool,
        on_reset: OnReset | None,
        on_ephemeral: OnEphemeral | None = None,
        stats: Stats,
    ) -> None:
        self._inbox = inbox
        self._queue = queue
        self._auto_ack = auto_ack
        self._on_reset = on_reset
        self._tell_ephemeral = on_ephemeral
        self._stats = stats
        self._acks = Acks()
        self._owed = asyncio.Event()
        self._skipping = False

    async def welcome(self, welcome: Welcome) -> None:
        """Take up where the server stands: go on from our cursor, from its own, or from nothing."""
        self._skipping = False
        self._acks.reconnected()
        if not welcome.recovered:
            await self._reset(welcome.cursor)
        elif self._inbox.cursor is None:
            await self._inbox.start(welcome.cursor)
        elif self._auto_ack:
            # Resuming acknowledges nothing, and the last connection may have taken acknowledgements with it.
            self._owe({source: self._inbox.cursor.at(source) for source in SOURCES})
        self._owed.set()

    async def read(self, connection: Connection, is_awaited: Callable[[], bool]) -> Ending:
        """Read for as long as the connection is of use. Raises `ConnectionEnded`, `BadFrame`, `OrderViolation`."""
        while True:
            await self._wait_room(connection, is_awaited)
            if self._skipping and not self._queue.is_full:
                return Ending(reason="coming back for what was skipped while the application was behind")
            await self._on_frame(await connection.receive())

    def acknowledge(self, positions: Mapping[str, int]) -> None:
        """Owe an acknowledgement. Raises `ValueError` above what was applied."""
        cursor = self._inbox.cursor
        above = [source for source, at in positions.items() if cursor is None or at > cursor.at(source)]
        if above:
            raise ValueError(f"not applied yet, so not to be acknowledged: {', '.join(above)}")
        self._owe(positions, events=1)

    async def pump_acks(self, connection: Connection) -> None:
        """Send acknowledgements in company: one frame for 50 ms or 64 events, whichever is first."""
        while True:
            await self._owed.wait()
            self._owed.clear()
            if self._acks.is_owed:
                await self._wait_company()
                await self.flush_acks(connection)

    async def flush_acks(self, connection: Connection) -> None:
        """Send what is owed now."""
        positions = self._acks.take()
        if positions:
            self._stats.acks += 1
            await connection.transmit({"ack": positions})

    async def _reset(self, cursor: Cursor) -> None:
        log.warning("the server cannot go on from this device's cursor: starting again")
        self._stats.resets += 1
        self._acks.clear()
        self._queue.clear()
        await self._inbox.reset(cursor)
        answer = self._on_reset(cursor) if self._on_reset is not None else None
        if inspect.isawaitable(answer):
            await answer

    async def _wait_room(self, connection: Connection, is_awaited: Callable[[], bool]) -> None:
        while not await self._queue.wait_room(is_awaited, timeout_seconds=connection.ping_interval):
            # Nothing is read meanwhile, so no ping is seen; any frame is a sign of life.
            await connection.transmit({"pong": {}})

    async def _on_frame(self, frame: Frame) -> None:
        if "events" in frame:
            await self._on_events(frame)
        elif "ephemeral" in frame:
            self.on_ephemeral(parse_ephemeral(frame["ephemeral"]))
        elif "error" in frame and "id" not in frame:
            self._stats.errors += 1
            log.warning("the server refused a frame: %s", frame["error"])

    async def _on_events(self, frame: Frame) -> None:
        source = str(frame.get("source"))
        events = parse_events(source, frame["events"])
        self._skipping = self._skipping or self._queue.is_overrun
        if self._skipping:
            self._stats.shed += len(events)
            return
        new = await self._inbox.receive(events)
        self._queue.put(new)
        if self._auto_ack and self._inbox.cursor is not None:
            self._owe({source: self._inbox.cursor.at(source)}, events=len(events))

    def on_ephemeral(self, events: Sequence[Event]) -> None:
        """Pass typing and presence on: to the callback, or into the queue while it has room."""
        if self._tell_ephemeral is not None:
            for event in events:
                self._tell_ephemeral(event)
        elif self._queue.is_full:
            self._stats.shed += len(events)
        else:
            self._queue.put(events)

    def _owe(self, positions: Mapping[str, int], *, events: int = 0) -> None:
        self._acks.reach(positions, events=events)
        self._owed.set()

    async def _wait_company(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(MAX_WAIT_SECONDS):
                while not self._acks.is_full:
                    await self._owed.wait()
                    self._owed.clear()
