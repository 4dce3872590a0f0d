"""The books of a run: when each message was meant to be sent, answered, and received by whom.

Messages are numbered through the whole run. A tally counts what happened in one phase; `start_phase` begins another.
"""

from array import array
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

from bench.order import Verdict


class Role(StrEnum):
    """What a device is to the messages it gets."""

    RECIPIENT = "recipient"
    OTHER = "other"  # another device of the sender
    SENDER = "sender"  # the sending device, which finds its own message in its lane


class Tally:
    """What was counted in one phase."""

    __slots__ = (
        "answered",
        "closed",
        "out_of_order",
        "pings",
        "receipts",
        "received",
        "refused",
        "repeated",
        "strange",
    )

    def __init__(self) -> None:
        """Begin at nought."""
        self.answered = 0
        self.closed = 0
        self.pings = 0
        self.receipts = 0
        self.strange = 0  # frames or messages that the generator did not expect
        self.refused: Counter[str] = Counter()
        self.received: Counter[Role] = Counter()
        self.repeated: Counter[Role] = Counter()
        self.out_of_order: Counter[Role] = Counter()


class Ledger:
    """Times of each message by number (0 = not yet), and the tally of the phase."""

    def __init__(self) -> None:
        """Open empty books."""
        self.intended = array("d")
        self.written = array("d")
        self.answered = array("d")
        self.received: dict[Role, array[float]] = {role: array("d") for role in Role}
        self.tally = Tally()

    def start_phase(self, messages: int) -> range:
        """Make room for `messages` more, begin a new tally and return their numbers."""
        first = len(self.intended)
        for column in (self.intended, self.written, self.answered, *self.received.values()):
            column.extend(array("d", bytes(8 * messages)))
        self.tally = Tally()
        return range(first, first + messages)

    def on_answer(self, number: int, now: float) -> None:
        """Note that a message was confirmed."""
        self.answered[number] = now
        self.tally.answered += 1

    def on_message(self, number: int | None, *, role: Role, verdict: Verdict, now: float) -> None:
        """Note that a device got a message at a position that was judged; a position repeated is one repeat."""
        tally = self.tally
        if verdict is Verdict.JUMP or verdict is Verdict.LATE:
            tally.out_of_order[role] += 1
        times = self.received[role]
        if number is None or number >= len(times):
            tally.strange += 1
        elif verdict is Verdict.REPEATED or times[number]:
            tally.repeated[role] += 1
        else:
            times[number] = now
            tally.received[role] += 1

    def missing(self, numbers: range, role: Role) -> int:
        """Count the confirmed messages that no device of `role` has got."""
        times = self.received[role]
        return sum(1 for number in numbers if self.answered[number] and not times[number])

    def received_by(self, numbers: range, role: Role, until: float) -> int:
        """Count the messages that devices of `role` had got at the time `until`."""
        times = self.received[role]
        return sum(1 for number in numbers if 0 < times[number] <= until)

    def latencies(self, numbers: range, times: Sequence[float]) -> list[float]:
        """Return the milliseconds from each message's intended time to its time in `times`, where there is one."""
        return [(times[number] - self.intended[number]) * 1000 for number in numbers if times[number]]
