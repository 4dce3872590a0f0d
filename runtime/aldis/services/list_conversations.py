"""Listing a user's conversations, and telling where its stream stood before the list was read.

A client that reloads shows this list and goes on from its cursor: since the heads are read first, whatever is committed
while the rows are read arrives by the stream too, and nothing falls between the two.
"""

from dataclasses import dataclass

from aldis.domain.cursors import Cursor
from aldis.domain.ids import UserId
from aldis.domain.messages import Kind
from aldis.ports.store import ConversationRow, Store, positions
from aldis.services.pages import Page

Place = tuple[str, str]  # (last message id, conversation id), descending


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationPage(Page[ConversationRow, Place]):
    """A page of conversations; only the first has the stream's cursor."""

    cursor: Cursor | None = None


async def list_conversations(
    user: UserId, *, kind: Kind | None = None, before: Place | None = None, limit: int, store: Store
) -> ConversationPage:
    """The user's conversations, newest message first."""
    cursor = await stream_cursor(user, store=store) if before is None else None
    found = await store.conversations_of(user, kind, before, limit + 1)
    items = found[:limit]
    return ConversationPage(items=items, next=_place(items) if len(found) > limit else None, cursor=cursor)


async def stream_cursor(user: UserId, *, store: Store) -> Cursor:
    """Where the user's sources stand now."""
    broadcasts, _ = await store.broadcast_positions()
    heads, _ = positions(await store.heads([user]), user, broadcasts)
    return Cursor(store.epoch, heads)


def _place(items: list[ConversationRow]) -> Place | None:
    """After the last row that has a message: an empty conversation has no place in an order by messages."""
    return next(((row.last.id, row.conversation.id) for row in reversed(items) if row.last is not None), None)
