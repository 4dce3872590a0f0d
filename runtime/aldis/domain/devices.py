"""Devices and where their reading starts."""

from dataclasses import dataclass, field

from aldis.domain.cursors import Cursor, Positions
from aldis.domain.ids import DeviceId, UserId

MAX_DEVICES = 20  # of one user


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A user's device: what lies at or below `start` it never has to receive, up to `acked` it has confirmed."""

    user: UserId
    id: DeviceId
    platform: str = "unknown"
    start: Positions = field(default_factory=Positions)
    acked: Positions = field(default_factory=Positions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """Where a connection starts to read; what lies up to `head` is there to be read.

    `restart`: the device's own positions begin anew at `start`.
    """

    start: Positions
    head: Positions
    recovered: bool
    restart: bool


def attach(
    *,
    epoch: str,
    head: Positions,
    floor: Positions,
    device: Device | None,
    is_first_device: bool,
    cursor: Cursor | None,
) -> Attachment:
    """Decide where a connection goes on from.

    A cursor is honoured whole or not at all; a known device without one goes on from what it acknowledged; a user's
    first device ever starts at the oldest retained event, later devices (and readers without a name) at the heads.
    """
    if cursor is not None:
        if cursor.epoch == epoch and cursor.positions.within(floor=floor, head=head):
            return Attachment(start=cursor.positions, head=head, recovered=True, restart=device is None)
        return Attachment(start=head, head=head, recovered=False, restart=True)
    if device is not None:
        if device.acked.within(floor=floor, head=head):
            return Attachment(start=device.acked, head=head, recovered=True, restart=False)
        return Attachment(start=head, head=head, recovered=False, restart=True)
    return Attachment(start=floor if is_first_device else head, head=head, recovered=True, restart=True)
