"""The sending half of the promise: what was put in stays until it is answered, and keeps its order.

A send repeats under the client id it was given, so that the server stores it once. Sends to one recipient or
conversation form a lane. A lane has at most `window` sends in flight; when the server asks for one of them again later,
nothing behind it leaves before it. With a window of 1 order holds whatever happens. With a larger one it holds through
lost connections, but a send already in flight may be taken while the one before it is refused.
No I/O and no clock here: times are passed in, seconds on any steady clock.
"""

import heapq
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice
from typing import Any

Payload = dict[str, Any]


class Phase(Enum):
    """Where a send is on its way."""

    QUEUED = auto()
    READY = auto()
    IN_FLIGHT = auto()
    HELD = auto()
    DONE = auto()


@dataclass(slots=True)
class Entry:
    """A send that waits for its answer. `number` is its place in the order of all sends."""

    number: int
    lane: str
    payload: Payload
    phase: Phase = Phase.QUEUED
    attempts: int = 0


class Outbox:
    """Says which send goes next."""

    def __init__(self, *, window: int = 1) -> None:
        """Allow `window` sends of a lane in flight at once."""
        self._window = window
        self._entries: dict[int, Entry] = {}
        self._lanes: dict[str, deque[Entry]] = {}
        self._ready: list[int] = []
        self._held: list[tuple[float, int]] = []
        self._last = 0

    def __len__(self) -> int:
        """How many sends have no answer yet."""
        return len(self._entries)

    def put(self, payload: Payload) -> int:
        """Take a send; gives its number."""
        self._last += 1
        entry = Entry(self._last, lane_of(payload), payload)
        self._entries[entry.number] = entry
        self._lanes.setdefault(entry.lane, deque()).append(entry)
        self._promote(entry.lane)
        return entry.number

    def take(self, now: float) -> Entry | None:
        """The next send to write to the connection, now in flight; the oldest first."""
        self._release(now)
        while self._ready:
            entry = self._entries.get(heapq.heappop(self._ready))
            if entry is not None and entry.phase is Phase.READY:
                entry.phase = Phase.IN_FLIGHT
                return entry
        return None

    def wait_seconds(self, now: float) -> float | None:
        """How long until a held send is due; None when none is held."""
        return max(0.0, self._held[0][0] - now) if self._held else None

    def answer(self, number: int) -> None:
        """A send has its answer, or nobody waits for it any more. Unknown numbers are passed over."""
        entry = self._entries.pop(number, None)
        if entry is None:
            return
        entry.phase = Phase.DONE
        lane = self._lanes[entry.lane]
        lane.remove(entry)
        if lane:
            self._promote(entry.lane)
        else:
            del self._lanes[entry.lane]

    def hold(self, number: int, until: float) -> None:
        """The server asked for this send again later; its lane waits behind it."""
        entry = self._entries.get(number)
        if entry is None:
            return
        entry.phase = Phase.HELD
        entry.attempts += 1
        heapq.heappush(self._held, (until, number))
        for other in self._lanes[entry.lane]:
            if other.phase is Phase.READY and other.number > number:
                other.phase = Phase.QUEUED

    def disconnected(self) -> int:
        """The connection is gone: all in flight go again, in their first order; says how many."""
        lost = [entry for entry in self._entries.values() if entry.phase is Phase.IN_FLIGHT]
        for entry in self._entries.values():
            if entry.phase in {Phase.IN_FLIGHT, Phase.READY}:
                entry.phase = Phase.QUEUED
        self._ready.clear()
        for lane in self._lanes:
            self._promote(lane)
        return len(lost)

    def _release(self, now: float) -> None:
        while self._held and self._held[0][0] <= now:
            entry = self._entries.get(heapq.heappop(self._held)[1])
            if entry is not None and entry.phase is Phase.HELD:
                entry.phase = Phase.QUEUED
                self._promote(entry.lane)

    def _promote(self, lane: str) -> None:
        for entry in islice(self._lanes[lane], self._window):
            if entry.phase is Phase.HELD:
                return
            if entry.phase is Phase.QUEUED:
                entry.phase = Phase.READY
                heapq.heappush(self._ready, entry.number)


def lane_of(payload: Payload) -> str:
    """The lane of a send. A user and the conversation with that user are two lanes: address one in one way."""
    return ":".join(f"{kind}={name}" for kind, name in sorted(payload["to"].items()))
