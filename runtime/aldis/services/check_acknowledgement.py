"""Checking an acknowledgement that did not come by a socket: there is no connection that knows what it has sent."""

from collections.abc import Mapping

from aldis.domain.errors import Rejected
from aldis.domain.ids import DeviceId, UserId
from aldis.domain.streams import LaneHead, Source
from aldis.ports.store import Store


async def check_acknowledgement(
    user: UserId, device: DeviceId, positions: Mapping[Source, int], *, store: Store
) -> None:
    """Raise `Rejected` for a device that never connected, or for a position above what there is."""
    if await store.device(user, device) is None:
        raise Rejected("not_found", "this user has no such device; it is known once it has connected", field="device")
    heads = await store.heads([user])
    for source, position in positions.items():
        if position > heads.get((user, source), LaneHead()).seq:
            raise Rejected("bad_cursor", f"nothing was ever sent at this position of {source}", field=source)
