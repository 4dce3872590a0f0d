"""Events between the socket and the application: bounded, and the reason to stop reading when it is full."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from aldis_client.events import Event

OVERRUN = 16
"""Times its limit that the queue may hold while an answer is waited for.

An answer comes behind the events that were sent before it, so an application that awaits one inside its event loop
needs the reader to go on. What the server and the network hold at most stands between.
"""


class EventQueue:
    """One reader puts, one application takes."""

    def __init__(self, limit: int) -> None:
        """Be full at `limit` events; with 0 keep none at all, for an application that only sends."""
        self._limit = limit
        self._events: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self._changed = asyncio.Event()
        self._closed = False
        self._error: BaseException | None = None

    def __len__(self) -> int:
        """How many events wait for the application."""
        return len(self._events)

    @property
    def is_full(self) -> bool:
        """Whether the reader should stop, unless an answer is waited for."""
        return 0 < self._limit <= len(self._events)

    @property
    def is_overrun(self) -> bool:
        """Whether nothing more may be put, whatever is waited for."""
        return 0 < self._limit * OVERRUN <= len(self._events)

    def put(self, events: Iterable[Event]) -> None:
        """Add events, in order."""
        if self._limit:
            self._events.extend(events)
            self._arrived.set()

    def clear(self) -> None:
        """Drop what waits: it belongs to a state that is gone."""
        self._events.clear()
        self._changed.set()

    def nudge(self) -> None:
        """Let a waiting reader look again: an answer may be waited for now."""
        self._changed.set()

    def close(self, error: BaseException | None) -> None:
        """No more will come: what waits is given out, then `error` is raised, or the end told with None."""
        self._closed = True
        self._error = error
        self._arrived.set()

    async def wait_room(self, is_awaited: Callable[[], bool], *, timeout_seconds: float) -> bool:
        """Wait until there is room or an answer is waited for; False when the time is up first."""
        if not self.is_full:
            return True
        try:
            async with asyncio.timeout(timeout_seconds):
                while self.is_full and not is_awaited():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def get(self) -> Event | None:
        """The next event, waiting for it; None when the client was closed. Raises what ended the client."""
        while not self._events:
            if self._error is not None:
                raise self._error
            if self._closed:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        self._changed.set()
        return self._events.popleft()
