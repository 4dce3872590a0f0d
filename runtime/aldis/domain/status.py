"""The status of a message for one recipient, read from how far its devices have moved and what delivering it came to.

No row is written per recipient when a message is sent: a grouped move of a device's position says of every message
between its ends when it was sent to, or acknowledged by, that device. Which status may follow which is one table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from aldis.domain.ids import DeviceId, UserId


class Status(StrEnum):
    """`pending` is stored, `sent` written to a socket, `delivered` acknowledged by the first device, then `read`."""

    PENDING = "pending"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


TRANSITIONS: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        # A note of the writing may come late or never, so the steps that follow it may come first.
        Status.PENDING: frozenset({Status.SENT, Status.DELIVERED, Status.READ, Status.FAILED}),
        Status.SENT: frozenset({Status.DELIVERED, Status.READ, Status.FAILED}),
        Status.DELIVERED: frozenset({Status.READ}),
        Status.READ: frozenset(),
        # Failing ends the ringing, not the keeping: a device may still acknowledge it, an administrator replay it.
        Status.FAILED: frozenset({Status.DELIVERED, Status.READ, Status.PENDING}),
    }
)


def may_become(before: Status, after: Status) -> bool:
    """Whether `after` may follow `before`; to stay as it is, is no step."""
    return after in TRANSITIONS[before]


def follow(before: Status, after: Status) -> Status:
    """What becomes of `before` when `after` is noted: what may not follow was noted late and changes nothing."""
    return after if may_become(before, after) else before


def is_waiting(status: Status) -> bool:
    """Whether a device has still to get it and is rung for: whatever can fail is."""
    return may_become(status, Status.FAILED)


class Step(StrEnum):
    """What is recorded of a message on its way: the first three by moves of devices, the others by deliveries."""

    SENT = "sent"
    ACKED = "acked"
    READ = "read"
    FAILED = "failed"
    REPLAYED = "replayed"


LEADS_TO: Mapping[Step, Status] = MappingProxyType(
    {
        Step.SENT: Status.SENT,
        Step.FAILED: Status.FAILED,
        Step.REPLAYED: Status.PENDING,
        Step.ACKED: Status.DELIVERED,
        Step.READ: Status.READ,
    }
)
_RANKS = {step: rank for rank, step in enumerate(LEADS_TO)}  # within a millisecond, as it must have happened


@dataclass(frozen=True, slots=True)
class Passage:
    """A step of one message for one recipient: on which device (None when none is known) and when.

    `at` is None when it is known that it happened, but the record of when has been retired. A failure has a `reason`.
    """

    step: Step
    device: DeviceId | None
    at: int | None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientStatus:
    """How far a message has come for one recipient; times are Unix milliseconds."""

    user: UserId
    status: Status
    sent_at: int | None = None
    delivered_at: int | None = None
    read_at: int | None = None
    failed_at: int | None = None
    reason: str | None = None


def in_order(passages: Sequence[Passage]) -> list[Passage]:
    """Passages by their times, those without one first; in the same millisecond as they must have happened."""
    return sorted(passages, key=lambda passage: (passage.at or 0, _RANKS[passage.step]))


def status_of(user: UserId, passages: Sequence[Passage]) -> RecipientStatus:
    """Fold the passages of one message for `user` into its status; the earliest of each step gives the time."""
    status, failure = Status.PENDING, None
    for passage in in_order(passages):
        before, status = status, follow(status, LEADS_TO[passage.step])
        if status is Status.FAILED and before is not status:
            failure = passage
    failed = failure if status is Status.FAILED else None
    first = {step: min((p.at for p in passages if p.step == step and p.at is not None), default=None) for step in Step}
    sent = [at for at in (first[Step.SENT], first[Step.ACKED]) if at is not None]
    return RecipientStatus(
        user=user,
        status=status,
        sent_at=min(sent, default=None),
        delivered_at=first[Step.ACKED],
        read_at=first[Step.READ],
        failed_at=failed.at if failed is not None else None,
        reason=failed.reason if failed is not None else None,
    )
