"""What there is of a user: how much, where his devices stand, never what he wrote."""

from dataclasses import dataclass

from aldis.domain.cursors import Positions
from aldis.domain.errors import Rejected
from aldis.domain.ids import UserId
from aldis.ports.administration import Profile
from aldis.ports.erasures import Erasure
from aldis.ports.store import Store, positions

SUBSCRIPTIONS = 200  # told of one user


@dataclass(frozen=True, slots=True, kw_only=True)
class UserDescription:
    """A user as administrators see him; `erasure` is the last one that was asked for."""

    user: UserId
    profile: Profile
    unread: int
    head: Positions
    floor: Positions
    erasure: Erasure | None


async def describe_user(user: UserId, *, store: Store) -> UserDescription:
    """Raises `Rejected("not_found")` when nothing is known of him."""
    profile = await store.profile(user, SUBSCRIPTIONS)
    heads = await store.heads([user])
    broadcasts, _ = await store.broadcast_positions()
    erasure = await store.erasure(user)
    if not any((profile.devices, profile.conversations, profile.subscriptions, profile.blocks, heads, erasure)):
        raise Rejected("not_found", f"nothing is known of {user}", field="user")
    head, floor = positions(heads, user, broadcasts)
    unread = await store.badge(user)
    return UserDescription(user=user, profile=profile, unread=unread, head=head, floor=floor, erasure=erasure)
