"""Channels for administrators: the declared ones, and the one that is always there."""

from aldis.domain.channels import CHAT, DEFAULT_CHAT, Channel
from aldis.domain.errors import Rejected
from aldis.ports.store import Store
from aldis.services.pages import Page


async def list_channels(*, after: str = "", limit: int, store: Store) -> Page[Channel, str]:
    """Channels by name."""
    found = await store.channels_after(after, limit + 1)
    if after < CHAT and await store.channel(CHAT) is None:
        found = sorted([*found, DEFAULT_CHAT], key=lambda channel: channel.name)
    items = found[:limit]
    return Page(items=items, next=items[-1].name if len(found) > limit else None)


async def find_channel(name: str, *, store: Store) -> Channel:
    """One channel."""
    channel = await store.channel(name)
    if channel is None and name == CHAT:
        return DEFAULT_CHAT
    if channel is None:
        raise Rejected("not_found", f"there is no channel {name}", field="name")
    return channel
