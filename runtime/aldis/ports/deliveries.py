"""Deliveries: what is unacknowledged, when it is rung for, and what was attempted.

A send only says when its recipients' lanes are due. What is then still unacknowledged becomes one row of `rings` for
each channel in that stretch of the lane, which carries the schedule from there on.

Guarantees as in `ports/store.py`: the two classes are a transaction's part and a store's part. An entry of a lane is
*open* when it is another's message that no device has acknowledged, its conversation was not read that far, and it has
not failed. Whether something is open is always asked of the records themselves; ranges of rows may cover more.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from aldis.domain.deliveries import Outcome
from aldis.domain.ids import ConversationId, DeviceId, MessageId, UserId
from aldis.domain.messages import Message
from aldis.domain.streams import Lane
from aldis.ports.dead_letters import DeadLetterReads, DeadLetterRows


class Range(NamedTuple):
    """The positions above `low` up to `high` of a user's lane."""

    user: UserId
    lane: Lane
    low: int
    high: int


class LaneMove(NamedTuple):
    """The highest range of a lane that a device has acknowledged now, without a gap in it."""

    user: UserId
    lane: Lane
    low: int
    high: int


class Moved(NamedTuple):
    """A lane that was moved: whether rings are open in it, and how many messages have failed in it."""

    user: UserId
    lane: Lane
    rings: int
    failed: int


class DueLane(NamedTuple):
    """A lane to be looked at above `low`; `rings` of it are open already."""

    user: UserId
    lane: Lane
    low: int
    head: int
    rings: int


class LookedAt(NamedTuple):
    """A lane has been looked at up to `high`, and is due again then (Unix ms) or with the next message."""

    user: UserId
    lane: Lane
    high: int
    due_at: int | None


class Stretch(NamedTuple):
    """Open entries of one channel above `low` up to `high` of a lane; `oldest` is the first message of them."""

    user: UserId
    lane: Lane
    channel: str
    low: int
    high: int
    oldest: MessageId


class NewRing(NamedTuple):
    """A stretch to be rung for at `due_at`; times are Unix milliseconds."""

    user: UserId
    lane: Lane
    channel: str
    low: int
    high: int
    due_at: int
    started_at: int


class OpenRing(NamedTuple):
    """A stretch that is rung for; `attempt` counts the rings so far."""

    id: int
    user: UserId
    lane: Lane
    channel: str
    low: int
    high: int
    attempt: int


class Rung(NamedTuple):
    """A ring was made, the `attempt`-th of its stretch, and the next thing is due at `due_at`."""

    id: int
    attempt: int
    due_at: int


class Attempt(NamedTuple):
    """What is recorded of a stretch; `device` is None when none was named."""

    user: UserId
    lane: Lane
    channel: str
    low: int
    high: int
    attempt: int
    device: DeviceId | None
    outcome: Outcome
    at: int


class OpenEntry(NamedTuple):
    """A message that is open in a lane, and how often was rung for it."""

    user: UserId
    lane: Lane
    channel: str
    seq: int
    message_id: MessageId
    conversation_id: ConversationId
    attempts: int


class DeliveryRows(DeadLetterRows, Protocol):
    """What a transaction can do. Rows of a lane are written after its head was locked or moved in it."""

    async def lock_lanes(self, lanes: Sequence[tuple[UserId, Lane]]) -> dict[tuple[UserId, Lane], int]:
        """Let nobody else write to these lanes until the end; answer the floor of each."""
        ...

    async def advance_lanes(self, moves: Sequence[LaneMove]) -> list[Moved]:
        """Note acknowledgements; a lane in which nothing is left to be looked at is no longer due. Lanes distinct.

        Answers those of the lanes in which rings are open or messages have failed.
        """
        ...

    async def claim_due_lanes(self, now: int, limit: int) -> list[DueLane]:
        """Take up to `limit` lanes that are due, longest due first: they are due no more."""
        ...

    async def open_stretches(self, ranges: Sequence[Range]) -> list[Stretch]:
        """What is open in these ranges, by channel."""
        ...

    async def rings_of(self, lanes: Sequence[tuple[UserId, Lane]]) -> list[OpenRing]:
        """All that is rung for in these lanes."""
        ...

    async def put_rings(self, rings: Sequence[NewRing]) -> None:
        """Begin to ring for stretches."""
        ...

    async def extend_rings(self, highs: Sequence[tuple[int, int]]) -> None:
        """Let rings cover more, by (id, new high)."""
        ...

    async def settle_lanes(self, looked: Sequence[LookedAt]) -> None:
        """Store how far lanes that were claimed in this transaction have been looked at."""
        ...

    async def lease_rings(self, lane: Lane, now: int, until: int, limit: int) -> list[OpenRing]:
        """Take up to `limit` rings that are due, so that no other takes them before `until`."""
        ...

    async def settle_rings(self, rung: Sequence[Rung]) -> set[int]:
        """Store attempts where nobody has stored that one before and the stretch is not closed; answer which."""
        ...

    async def close_rings(self, rings: Sequence[OpenRing]) -> None:
        """Ring no more for these; those that do not stand at that attempt any more are left alone."""
        ...

    async def close_acknowledged(self, ranges: Sequence[Range]) -> None:
        """Close the rings that lie within ranges that were acknowledged, and shorten those that begin in one."""
        ...

    async def open_in_rings(self, rings: Sequence[OpenRing], limit: int) -> list[tuple[int, OpenEntry]]:
        """Up to `limit` open entries of rings that stand at that attempt still, with the ring's id, in its order."""
        ...

    async def shorten_rings(self, lows: Sequence[tuple[int, int]]) -> None:
        """Let rings cover less, by (id, new low)."""
        ...

    async def put_attempts(self, attempts: Sequence[Attempt]) -> None:
        """Append to the record of deliveries."""
        ...

    async def put_expiries(self, expiries: Sequence[tuple[int, MessageId]]) -> None:
        """Note when messages expire, by (Unix ms, id)."""
        ...

    async def due_expiries(self, now: int, limit: int) -> list[tuple[int, MessageId]]:
        """Up to `limit` notes whose time has come, earliest first."""
        ...

    async def delete_expiries(self, expiries: Sequence[tuple[int, MessageId]]) -> None:
        """Forget notes."""
        ...

    async def lanes_with(self, messages: Sequence[MessageId]) -> list[tuple[UserId, Lane]]:
        """The lanes of recipients that hold one of these messages."""
        ...

    async def open_entries(self, messages: Sequence[MessageId]) -> list[OpenEntry]:
        """Where these messages are open."""
        ...

    async def retire_records(self, messages_before: MessageId, records_before: int, limit: int) -> int:
        """Forget what has aged, up to `limit` rows of each kind; answer how many.

        Records of attempts (none where `keep_up` lets go of them) and finished replays older than `records_before`
        (Unix ms); expiries of messages older than `messages_before`, which no lane holds any more; what senders were
        told of such messages.
        """
        ...


class DeliveryReads(DeadLetterReads, Protocol):
    """What can be read outside one."""

    async def still_open(self, rings: Sequence[OpenRing]) -> set[int]:
        """The ids of those rings that are not closed and have something open."""
        ...

    async def attempts(self, message: Message, users: Sequence[UserId]) -> dict[UserId, list[Attempt]]:
        """The rings that were made for a message, by recipient, in the order of their making."""
        ...
