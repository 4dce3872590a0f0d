"""Dead letters: messages that one recipient did not get in time, and replays of them.

Guarantees as in `ports/store.py`. There is at most one letter for a message and a recipient. A letter that was purged
is no longer listed or replayed, and still says that the message has failed; an acknowledgement or a read drops either.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from aldis.domain.deliveries import Reason, ReplayState
from aldis.domain.ids import MessageId, UserId
from aldis.domain.streams import Lane


class DeadLetter(NamedTuple):
    """A message that has failed for one recipient, at its place in his lane; `failed_at` is Unix milliseconds."""

    id: str
    message_id: MessageId
    recipient: UserId
    channel: str
    reason: Reason
    lane: Lane
    seq: int
    attempts: int
    failed_at: int


class LetterFilter(NamedTuple):
    """Which letters are wanted; None asks for any."""

    channel: str | None = None
    reason: Reason | None = None
    recipient: UserId | None = None

    @property
    def is_empty(self) -> bool:
        """Whether every letter is wanted."""
        return self == LetterFilter()


class Replay(NamedTuple):
    """A replay of the letters that fit a filter, above the id `after` up to `until`; times are Unix milliseconds.

    `matched` is how many there were when it was asked for (or were found, if more); each is replayed or skipped.
    """

    id: str
    wanted: LetterFilter
    state: ReplayState
    after: str
    until: str
    matched: int
    replayed: int
    skipped: int
    created_at: int
    updated_at: int


class DeadLetterRows(Protocol):
    """What a transaction can do. The lanes of the letters are locked."""

    async def put_letters(self, letters: Sequence[DeadLetter]) -> set[str]:
        """Store letters where there is none for that message and recipient; answer the ids of those stored."""
        ...

    async def drop_acknowledged_letters(self, ranges: Sequence[tuple[UserId, Lane, int, int]]) -> list[DeadLetter]:
        """Drop and answer the letters above `low` up to `high` of a user's lane."""
        ...

    async def drop_read_letters(self, reads: Sequence[tuple[str, UserId, int, int]]) -> list[DeadLetter]:
        """Drop and answer a user's letters of messages above `low` up to `high` of a conversation (its id is first)."""
        ...

    async def take_letters(self, ids: Sequence[str]) -> list[DeadLetter]:
        """Drop letters that are there and not purged, to replay their messages; answer them by id."""
        ...

    async def letter(self, letter: str) -> DeadLetter | None:
        """A letter that is not purged."""
        ...

    async def letters_after(
        self, wanted: LetterFilter, after: str, until: str, *, limit: int, window: int
    ) -> tuple[list[DeadLetter], str | None]:
        """Up to `limit` letters above the id `after` up to `until`, oldest first, among `window` that are looked at.

        The second value is the id up to which was looked, None when no more follow.
        """
        ...

    async def newest_letter(self) -> str:
        """The highest id of a letter, empty when there is none."""
        ...

    async def purge_letters(self, ids: Sequence[str], at: int) -> int:
        """Purge letters; answer how many were there."""
        ...

    async def purged_lanes(self, before: int, limit: int) -> list[tuple[UserId, Lane]]:
        """The lanes of up to `limit` letters that were purged before then (Unix ms), oldest first."""
        ...

    async def drop_purged_letters(self, before: int, limit: int) -> int:
        """Drop up to `limit` letters that were purged before then, oldest first; answer how many."""
        ...

    async def renew_messages(self, expiries: Sequence[tuple[MessageId, int]]) -> None:
        """Give messages another time of expiry, by (id, Unix ms)."""
        ...

    async def renewals(self, places: Sequence[tuple[UserId, Lane, int]]) -> dict[tuple[UserId, Lane, int], int]:
        """When the message at a place was last given a new life, for those that were (Unix ms)."""
        ...

    async def supersede_entries(self, places: Sequence[tuple[UserId, Lane, int]]) -> None:
        """Say of places that a newer one has taken over: they are no delivery any more."""
        ...

    async def put_replay(self, replay: Replay) -> None:
        """Store how far a replay is."""
        ...

    async def next_replay(self) -> Replay | None:
        """The oldest replay that is running, held by this transaction: another that asks waits for its end."""
        ...


class DeadLetterReads(Protocol):
    """What can be read outside one."""

    async def dead_letters(
        self, wanted: LetterFilter, before: str | None, *, limit: int, window: int
    ) -> tuple[list[DeadLetter], str | None]:
        """Up to `limit` letters below the id `before`, newest first, and the id to go on below, None at the end.

        At most `window` rows are looked at, so there may be none on a page that is not the last.
        """
        ...

    async def count_letters(self, wanted: LetterFilter, most: int) -> int:
        """How many letters fit, looking at no more than `most`."""
        ...

    async def replay(self, replay: str) -> Replay | None:
        """How far it has come."""
        ...
