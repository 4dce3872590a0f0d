"""The order in which many hear the same messages: whatever it is, it must be one and the same for all of them.

Who posts over several connections does not choose the order; the server does. The first socket to get so far tells it,
and every other must agree, message by message, without a gap and without a repeat.
"""

from bench.order import Verdict


class Hearing:
    """How far one socket is, and, once something was wrong, all that it has heard."""

    __slots__ = ("count", "seen")

    def __init__(self) -> None:
        """Begin before the first message."""
        self.count = 0
        self.seen: set[int] | None = None

    @property
    def distinct(self) -> int:
        """How many different messages came."""
        return self.count if self.seen is None else len(self.seen)


class CommonOrder:
    """The numbers as they were first heard."""

    __slots__ = ("_known", "heard")

    def __init__(self) -> None:
        """Begin before the first message."""
        self.heard: list[int] = []
        self._known: set[int] = set()

    def judge(self, hearing: Hearing, number: int) -> Verdict:
        """Take the next message of one socket and say what it is."""
        place = hearing.count
        if place == len(self.heard) and number not in self._known:
            self.heard.append(number)
            self._known.add(number)
        is_agreed = place < len(self.heard) and self.heard[place] == number
        if is_agreed and hearing.seen is None:
            hearing.count += 1
            return Verdict.NEXT
        return self._judge_slowly(hearing, number, is_agreed=is_agreed)

    def _judge_slowly(self, hearing: Hearing, number: int, *, is_agreed: bool) -> Verdict:
        """Tell a repeat, which takes no place, from what came in the wrong place."""
        if hearing.seen is None:
            hearing.seen = set(self.heard[: hearing.count])
        if number in hearing.seen:
            return Verdict.REPEATED
        hearing.seen.add(number)
        hearing.count += 1
        return Verdict.NEXT if is_agreed else Verdict.JUMP
