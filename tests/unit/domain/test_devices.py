import pytest

from aldis.domain.cursors import Cursor, Positions
from aldis.domain.devices import Attachment, Device, attach
from aldis.domain.ids import DeviceId, UserId

FLOOR, HEAD = Positions(e=2, s=10), Positions(e=5, s=20, r=7)
PLACE = Positions(e=3, s=12, r=1)
LOW, HIGH = Positions(e=3, s=9), Positions(e=3, s=12, r=8)


def device(acked: Positions) -> Device:
    return Device(user=UserId("bob"), id=DeviceId("phone"), acked=acked)


def cursor(positions: Positions, epoch: str = "now") -> Cursor:
    return Cursor(epoch, positions)


@pytest.mark.parametrize(
    ("known", "first", "given", "start", "recovered", "restart"),
    [
        (None, True, None, FLOOR, True, True),
        (None, False, None, HEAD, True, True),
        (device(PLACE), False, None, PLACE, True, False),
        (device(FLOOR), False, None, FLOOR, True, False),
        (device(HEAD), False, None, HEAD, True, False),
        (device(LOW), False, None, HEAD, False, True),
        (device(HIGH), False, None, HEAD, False, True),
        (device(PLACE), False, cursor(FLOOR), FLOOR, True, False),
        (device(PLACE), False, cursor(HEAD), HEAD, True, False),
        (device(LOW), False, cursor(PLACE), PLACE, True, False),
        (device(PLACE), False, cursor(LOW), HEAD, False, True),
        (device(PLACE), False, cursor(HIGH), HEAD, False, True),
        (device(PLACE), False, cursor(PLACE, "before"), HEAD, False, True),
        (None, True, cursor(PLACE), PLACE, True, True),
        (None, True, cursor(PLACE, "before"), HEAD, False, True),
    ],
)
def test_a_connection_starts_where_the_rules_say(
    known: Device | None, first: bool, given: Cursor | None, start: Positions, recovered: bool, restart: bool
) -> None:
    """A cursor whole or not at all, then what was acknowledged, then the floor for a first device, else the heads."""
    decided = attach(epoch="now", head=HEAD, floor=FLOOR, device=known, is_first_device=first, cursor=given)

    assert decided == Attachment(start=start, head=HEAD, recovered=recovered, restart=restart)
