"""Read what a connection has missed: pages of many connections in one query each.

Always from the primary: what a gateway was rung for must be there.
"""

from collections.abc import Sequence

from aldis.domain.errors import AldisError
from aldis.domain.streams import MESSAGE, Event
from aldis.ports.clock import Clock
from aldis.ports.store import Entry, Store, Want
from aldis.services.grouping import Grouper
from aldis.services.render import message_event, message_json, state_event
from aldis.telemetry.metrics import Metrics

GROUP = 100  # wants in one query: with 200 entries each, the most that is held in memory at once
WAITING = 50_000


class StreamReader:
    """Reads pages of sources; one instance a process."""

    def __init__(self, *, store: Store, clock: Clock, metrics: Metrics) -> None:
        self._store = store
        self._clock = clock
        self._grouper: Grouper[Want, list[Event]] = Grouper(
            self._read, name="read", most=GROUP, bound=WAITING, metrics=metrics
        )

    async def page(self, want: Want) -> list[Event]:
        """The entries of one source above a position, in order, at most the want's limit."""
        return await self._grouper.ask(want)

    async def _read(self, wants: Sequence[Want]) -> list[list[Event] | AldisError]:
        pages: list[list[Event] | AldisError] = [[] for _ in wants]
        lanes = [(index, want) for index, want in enumerate(wants) if want.source != "r"]
        states = [(index, want) for index, want in enumerate(wants) if want.source == "r"]
        if lanes:
            now = self._clock.now_ms()
            for (index, want), entries in zip(lanes, await self._store.entries([w for _, w in lanes]), strict=True):
                pages[index] = [_event(entry, want, now) for entry in entries]
        if states:
            for (index, _), rows in zip(states, await self._store.states([w for _, w in states]), strict=True):
                pages[index] = [Event(row.pos, state_event(row.type, row.value)) for row in rows]
        return pages


def _event(entry: Entry, want: Want, now: int) -> Event:
    message = entry.message
    own = entry.type != MESSAGE or message.sender.user == want.user
    return Event(entry.pos, message_event(message_json(message, now), entry.type), own=own)
