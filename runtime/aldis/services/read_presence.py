"""Who is online, among those whom one may know about: who shares a chat with him, without a block between the two.

All others are answered as offline, so that nothing can be learned by asking for a stranger.
"""

from collections.abc import Sequence

from aldis.domain.ids import UserId
from aldis.ports.presence import Presence
from aldis.ports.store import Store

MAX_WATCHED = 100  # users of one question, and of one connection's list


async def read_presence(
    user: UserId, others: Sequence[UserId], *, store: Store, presence: Presence
) -> list[tuple[UserId, bool]]:
    """Each of `others` and whether he is online, in their order."""
    known = await store.acquaintances(user, others)
    nodes = await presence.nodes_of(sorted(known))
    return [(other, bool(nodes.get(other))) for other in others]
