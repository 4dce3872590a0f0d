"""The status of a message for one recipient, read from how far its devices have moved.

No row is written per recipient when a message is sent: a grouped move of a device's position says of every message
between its ends when it was sent to, or acknowledged by, that device.
"""

from dataclasses import dataclass
from enum import StrEnum

from aldis.domain.ids import DeviceId, UserId


class Status(StrEnum):
    """`pending` is stored, `sent` written to a socket, `delivered` acknowledged by the first device, then `read`."""

    PENDING = "pending"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


class Step(StrEnum):
    """What a move records."""

    SENT = "sent"
    ACKED = "acked"
    READ = "read"


@dataclass(frozen=True, slots=True)
class Passage:
    """A device's position passing a message: what happened, on which device (None for a read by REST) and when.

    `at` is None when it is known that it happened, but the record of when has been retired.
    """

    step: Step
    device: DeviceId | None
    at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientStatus:
    """How far a message has come for one recipient; times are Unix milliseconds."""

    user: UserId
    status: Status
    sent_at: int | None = None
    delivered_at: int | None = None
    read_at: int | None = None
    reason: str | None = None


def status_of(user: UserId, passages: list[Passage]) -> RecipientStatus:
    """Fold the passages of one message for `user` into its status; the earliest of each step gives the time."""
    taken = {passage.step for passage in passages}
    first = {step: min((p.at for p in passages if p.step == step and p.at is not None), default=None) for step in Step}
    if Step.READ in taken:
        status = Status.READ
    elif Step.ACKED in taken:
        status = Status.DELIVERED
    elif Step.SENT in taken:
        status = Status.SENT
    else:
        status = Status.PENDING
    sent = [at for at in (first[Step.SENT], first[Step.ACKED]) if at is not None]
    return RecipientStatus(
        user=user,
        status=status,
        sent_at=min(sent, default=None),
        delivered_at=first[Step.ACKED],
        read_at=first[Step.READ],
    )
