"""Checking an acknowledgement that did not come by a socket: there is no connection that knows what it has sent."""

from collections.abc import Mapping

from aldis.domain.errors import Rejected
from aldis.domain.ids import DeviceId, UserId
from aldis.domain.streams import Source
from aldis.ports.store import Store
from aldis.ports.store import positions as head_positions


async def check_acknowledgement(
    user: UserId, device: DeviceId, positions: Mapping[Source, int], *, store: Store
) -> None:
    """Raise `Rejected` for a device that never connected, or for a position above what there is."""
    if await store.device(user, device) is None:
        raise Rejected("not_found", "this user has no such device; it is known once it has connected", field="device")
    broadcasts, _ = await store.broadcast_positions()
    heads, _ = head_positions(await store.heads([user]), user, broadcasts)
    for source, position in positions.items():
        if position > heads.at(source):
            raise Rejected("bad_cursor", f"nothing was ever sent at this position of {source}", field=source)
