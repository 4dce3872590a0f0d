"""The order of one source on one connection, judged on the raw frames before anything could mend it."""

from enum import Enum, auto


class Verdict(Enum):
    """What one position is, given those that came before it."""

    NEXT = auto()
    JUMP = auto()  # it came before one that stands in front of it
    LATE = auto()  # it was jumped over earlier and comes after all
    REPEATED = auto()


class Order:
    """Positions must come as 1, 2, 3 … from `start` on; what was jumped over is remembered in `gaps`."""

    __slots__ = ("gaps", "last")

    def __init__(self, start: int = 0) -> None:
        """Begin after position `start`, which has been applied already."""
        self.last = start
        self.gaps: set[int] = set()

    def judge(self, position: int) -> Verdict:
        """Take the next position off the wire and say what it is."""
        expected = self.last + 1
        if position == expected:
            self.last = position
            return Verdict.NEXT
        if position > expected:
            self.gaps.update(range(expected, position))
            self.last = position
            return Verdict.JUMP
        if position in self.gaps:
            self.gaps.discard(position)
            return Verdict.LATE
        return Verdict.REPEATED
