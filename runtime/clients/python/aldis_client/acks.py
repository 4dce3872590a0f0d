"""Which acknowledgements are owed: positions only grow, and nothing is said twice on one connection."""

from collections.abc import Mapping

MAX_WAIT_SECONDS = 0.05
"""How long an acknowledgement may wait for company."""
MAX_EVENTS = 64
"""How many events may wait for one."""


class Acks:
    """Collects positions and gives them out as one frame at a time."""

    def __init__(self) -> None:
        self._reached: dict[str, int] = {}
        self._told: dict[str, int] = {}
        self._events = 0

    def reach(self, positions: Mapping[str, int], *, events: int = 0) -> None:
        """Owe an acknowledgement up to `positions`; `events` of them are new. Lower positions change nothing."""
        for source, position in positions.items():
            self._reached[source] = max(position, self._reached.get(source, 0))
        self._events += events

    @property
    def is_owed(self) -> bool:
        """Whether there is anything to say."""
        return any(position > self._told.get(source, 0) for source, position in self._reached.items())

    @property
    def is_full(self) -> bool:
        """Whether it should be said now."""
        return self._events >= MAX_EVENTS

    def take(self) -> dict[str, int]:
        """The positions to send now; they count as told on this connection."""
        owed = {source: at for source, at in self._reached.items() if at > self._told.get(source, 0)}
        self._told.update(owed)
        self._events = 0
        return owed

    def reconnected(self) -> None:
        """On a new connection nothing has been told: what the last one took with it is said again."""
        self._told.clear()

    def clear(self) -> None:
        """Owe nothing: the positions are of another epoch."""
        self._reached.clear()
        self._told.clear()
        self._events = 0
