"""Reading a conversation's messages, page by page along its `seq`; only its members may."""

from aldis.domain.errors import Rejected
from aldis.domain.ids import ConversationId, UserId
from aldis.domain.messages import Message
from aldis.ports.store import Conversation, Store
from aldis.services.pages import Page


async def read_history(
    conversation_id: ConversationId,
    user: UserId,
    *,
    before: int | None = None,
    after: int | None = None,
    limit: int,
    store: Store,
) -> Page[Message, int]:
    """Newest first below `before` (or from the newest), or oldest first above `after`; `next` is the last seq."""
    conversation = await find_own_conversation(conversation_id, user, store=store)
    above = await sees_above(conversation, user, store=store)
    found = await store.history(conversation_id, before=before, after=after, above=above, limit=limit + 1)
    items = found[:limit]
    return Page(items=items, next=items[-1].seq if len(found) > limit else None)


async def find_own_conversation(conversation_id: ConversationId, user: UserId, *, store: Store) -> Conversation:
    """A conversation of which `user` is a member; to all others it is not there."""
    conversation = await store.conversation(conversation_id)
    if conversation is None or not (conversation.broadcast or user in conversation.members):
        raise _not_there()
    return conversation


async def sees_above(conversation: Conversation, user: UserId, *, store: Store) -> int:
    """Below which seq a conversation is hidden: from one who joined a broadcast later, or was erased and came back."""
    listener = await store.listener(conversation.id, user)
    if listener is None:
        raise _not_there()
    return listener.from_seq


def _not_there() -> Rejected:
    return Rejected("not_found", "there is no such conversation for you", field="conversation_id")
