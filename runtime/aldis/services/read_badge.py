"""Reading a user's badge: all that is unread."""

from aldis.domain.ids import UserId
from aldis.ports.store import Store


async def read_badge(user: UserId, *, store: Store) -> int:
    """The number for the application's icon."""
    return await store.badge(user)
