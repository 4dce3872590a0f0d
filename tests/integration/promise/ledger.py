"""The books of a run: what was sent, what was answered, who is owed it, and the one line that says how it went."""

import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from integration.promise.witness import Places, Witness

SEEN_FAULTS = 10  # of many, in the words of a failure


@dataclass(frozen=True, slots=True)
class Promised:
    """A send that was answered: it is committed."""

    message_id: str
    conversation_id: str
    seq: int


@dataclass(slots=True)
class Ledger:
    """Everything a run promised. Devices must be there before the first send."""

    places: Places = field(default_factory=Places)
    witnesses: list[Witness] = field(default_factory=list)
    due: dict[str, tuple[str, ...]] = field(default_factory=dict)  # client id -> the users who are to get it
    answers: dict[str, Promised] = field(default_factory=dict)  # by client id
    faults: list[str] = field(default_factory=list)
    kills: int = 0
    stored_before: int = 0  # sends that were committed, lost their answer, and got it when they were repeated
    started: float = field(default_factory=time.monotonic)

    def witness(self, user: str, device: str) -> Witness:
        """A new witness for a device."""
        witness = Witness(user, device, self.places)
        self.witnesses.append(witness)
        return witness

    def sending(self, client_id: str, *users: str) -> None:
        """A send is about to leave, due to all devices of these users."""
        self.due[client_id] = users

    def answered(
        self, client_id: str, message_id: str, conversation_id: str, seq: int, *, duplicate: bool = False
    ) -> None:
        """A send was answered; a second answer must say the same."""
        self.stored_before += duplicate
        promised = Promised(message_id, conversation_id, seq)
        if self.answers.setdefault(client_id, promised) != promised:
            self.faults.append(f"{client_id} was answered with {self.answers[client_id]} and then {promised}")

    @property
    def unanswered(self) -> list[str]:
        """Client ids without an answer."""
        return [client_id for client_id in self.due if client_id not in self.answers]

    def owed(self) -> dict[str, list[str]]:
        """By user, the ids of the confirmed messages that each of his devices is to get."""
        owed: dict[str, list[str]] = defaultdict(list)
        for client_id, promised in self.answers.items():
            for user in self.due[client_id]:
                owed[user].append(promised.message_id)
        return owed

    def count_missing(self) -> int:
        """How many confirmed messages have not come, summed over the devices that are owed them."""
        owed = self.owed()
        return sum(sum(id_ not in w.shown for id_ in owed.get(w.user, ())) for w in self.witnesses)

    def line(self) -> str:
        """How it went."""
        total = self._total
        reconnects = total("connects") - sum(witness.connects > 0 for witness in self.witnesses)
        figures = {
            "sent": len(self.due),
            "confirmed": len(self.answers),
            "received": sum(len(witness.shown) for witness in self.witnesses),
            "repeated": total("repeated"),
            "shown_twice": total("shown_twice"),
            "out_of_order": total("out_of_order"),
            "missing": self.count_missing(),
            "kills": self.kills,
            "stored_before": self.stored_before,
            "reconnects": reconnects,
            "seconds": f"{time.monotonic() - self.started:.1f}",
        }
        return " ".join(f"{name}={figure}" for name, figure in figures.items())

    def check(self) -> None:
        """Fail unless the promise was kept on every device."""
        faults = [*self.faults, *(fault for witness in self.witnesses for fault in witness.faults)]
        assert not faults, f"{len(faults)} faults: {faults[:SEEN_FAULTS]}"
        assert not self.unanswered, f"{len(self.unanswered)} sends were never answered: {self.unanswered[:SEEN_FAULTS]}"
        assert self.count_missing() == 0, f"{self.count_missing()} missing"
        assert self._total("shown_twice") == self._total("out_of_order") == self._total("resets") == 0
        twice = [id_ for id_, count in Counter(p.message_id for p in self.answers.values()).items() if count > 1]
        assert not twice, f"two sends were answered with one message: {twice[:SEEN_FAULTS]}"

    def _total(self, figure: str) -> int:
        return sum(getattr(witness, figure) for witness in self.witnesses)


MESSAGES = "SELECT client_id, id, conversation_id, seq FROM messages"
ENTRIES = "SELECT user_id, lane, seq, message_id FROM stream_events"


def check_stored(database: Path, ledger: Ledger) -> None:
    """The same as `check_rows`, for the file of an embedded server."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        check_rows(connection.execute(MESSAGES).fetchall(), connection.execute(ENTRIES).fetchall(), ledger)


def check_rows(
    messages: Sequence[tuple[str, str, str, int]], entries: Sequence[tuple[str, str, int, str]], ledger: Ledger
) -> None:
    """Fail unless the database holds each send once, as it was answered, and both kinds of number without a gap."""
    stored = {client_id: Promised(id_, conversation, seq) for client_id, id_, conversation, seq in messages}
    assert len(stored) == len(messages), "a client id was stored twice"
    assert stored == ledger.answers, "what is stored is not what was answered"
    _check_gapless(((conversation, seq) for _, _, conversation, seq in messages), "a conversation")
    _check_gapless(((f"{user} {lane}", position) for user, lane, position, _ in entries), "a lane")
    placed = Counter((user, message_id) for user, _, _, message_id in entries)
    owed = Counter((user, message_id) for user, ids in ledger.owed().items() for message_id in ids)
    assert placed == owed, "a message is not once in the lane of everybody it is due to"


def _check_gapless(numbers: Iterable[tuple[str, int]], what: str) -> None:
    by_owner: dict[str, list[int]] = defaultdict(list)
    for owner, number in numbers:
        by_owner[owner].append(number)
    holed = [owner for owner, taken in by_owner.items() if not _is_gapless(taken)]
    assert not holed, f"{what} has a gap or a repeat: {holed[:SEEN_FAULTS]}"


def _is_gapless(numbers: Sequence[int]) -> bool:
    return sorted(numbers) == list(range(1, len(numbers) + 1))
