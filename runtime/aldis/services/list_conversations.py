"""Listing a user's conversations, and telling where its stream stood before the list was read.

A client that reloads shows this list and goes on from its cursor: since the heads are read first, whatever is committed
while the rows are read arrives by the stream too, and nothing falls between the two.
"""

from dataclasses import dataclass

from aldis.domain.cursors import Cursor
from aldis.domain.errors import Rejected
from aldis.domain.ids import ConversationId, UserId
from aldis.domain.messages import Kind
from aldis.ports.store import ConversationRow, Store, positions
from aldis.services.pages import Page

Place = tuple[str, str]  # (last message id, conversation id), descending


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationPage(Page[ConversationRow, Place]):
    """A page of conversations; only the first has the stream's cursor."""

    cursor: Cursor | None = None


async def list_conversations(
    user: UserId,
    *,
    kind: Kind | None = None,
    archived: bool | None = None,
    before: Place | None = None,
    limit: int,
    store: Store,
) -> ConversationPage:
    """The user's conversations, newest message first."""
    cursor = await stream_cursor(user, store=store) if before is None else None
    found = await store.conversations_of(user, kind, before, limit + 1, archived=archived)
    items = found[:limit]
    return ConversationPage(items=items, next=_place(items) if len(found) > limit else None, cursor=cursor)


async def find_conversation(conversation: ConversationId, user: UserId, *, store: Store) -> ConversationRow:
    """One of the user's conversations; to all others it is not there."""
    row = await store.conversation_of(user, conversation)
    if row is None:
        raise Rejected("not_found", "there is no such conversation for you", field="conversation_id")
    return row


async def stream_cursor(user: UserId, *, store: Store) -> Cursor:
    """Where the user's sources stand now."""
    broadcasts, _ = await store.broadcast_positions()
    heads, _ = positions(await store.heads([user]), user, broadcasts)
    return Cursor(store.epoch, heads)


def _place(items: list[ConversationRow]) -> Place | None:
    """After the last row that has a message: an empty conversation has no place in an order by messages."""
    return next(((row.last.id, row.conversation.id) for row in reversed(items) if row.last is not None), None)
