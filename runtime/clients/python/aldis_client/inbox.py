"""The receiving half of the promise: the three rules by which each message is applied exactly once.

(1) keep the highest position applied for each source and drop an event at or below it; (2) apply every event as an
upsert by message id; (3) store first, then acknowledge. What `receive` returns is stored; only then may it be
acknowledged.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from aldis_client.cursor import GAPLESS, Cursor
from aldis_client.errors import OrderViolation
from aldis_client.events import KNOWN_TYPES, Event
from aldis_client.stats import Stats
from aldis_client.store import Store

log = logging.getLogger("aldis_client")


@dataclass(frozen=True, slots=True)
class Batch:
    """What of one frame is new, the cursor after it, and how many events were known."""

    events: tuple[Event, ...]
    cursor: Cursor
    duplicates: int


def sift(cursor: Cursor, events: Sequence[Event], *, allow_jumps: bool = False) -> Batch:
    """Drop what `cursor` covers and move it over the rest.

    Raises `OrderViolation` when a gapless source leaves a position out, unless `allow_jumps`.
    """
    fresh: list[Event] = []
    for event in events:
        applied = cursor.at(event.source)
        if event.position <= applied:
            continue
        if event.source in GAPLESS and event.position != applied + 1 and not allow_jumps:
            raise OrderViolation(event.source, applied + 1, event.position)
        cursor = cursor.advance(event.source, event.position)
        fresh.append(event)
    return Batch(tuple(fresh), cursor, len(events) - len(fresh))


class Inbox:
    """Applies frames to a store and knows the cursor behind what it holds."""

    def __init__(self, *, store: Store, stats: Stats) -> None:
        self._store = store
        self._stats = stats
        self._cursor: Cursor | None = None
        self._forgiven: tuple[str, int, int] | None = None

    @property
    def cursor(self) -> Cursor | None:
        """What has been applied; None before the server first said where this device is."""
        return self._cursor

    async def load(self) -> None:
        """Go on from what the store holds."""
        self._cursor = await self._store.load()

    async def start(self, cursor: Cursor) -> None:
        """Begin at a cursor that the server gave, and keep it."""
        await self._store.apply((), cursor)
        self._cursor = cursor

    async def reset(self, cursor: Cursor) -> None:
        """Throw everything away and begin again at `cursor`."""
        self._cursor = None
        await self._store.clear()
        await self.start(cursor)

    async def receive(self, events: Sequence[Event]) -> tuple[Event, ...]:
        """Apply the events of one frame; give those that are new and of a known type, now stored.

        Raises `OrderViolation` at a jump, with nothing applied: resuming from the cursor brings what was missed. When
        the server then says the same again, there is nothing to wait for, and the jump is taken as it is.
        """
        assert self._cursor is not None, "start or load comes first"
        batch = self._sift(self._cursor, events)
        self._stats.duplicates += batch.duplicates
        if not batch.events:
            return ()
        known = tuple(event for event in batch.events if event.type in KNOWN_TYPES)
        await self._store.apply(known, batch.cursor)
        self._cursor = batch.cursor
        self._stats.events += len(known)
        return known

    def _sift(self, cursor: Cursor, events: Sequence[Event]) -> Batch:
        try:
            return sift(cursor, events)
        except OrderViolation as jump:
            self._stats.order_violations += 1
            place = (jump.source, jump.expected, jump.position)
            if self._forgiven != place:
                self._forgiven = place
                raise
            log.warning("taking a jump that resuming did not mend: %s", jump)
            return sift(cursor, events, allow_jumps=True)
