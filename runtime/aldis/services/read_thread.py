"""Reading a thread by itself, page by page along `seq`: its first message and the replies; only members may."""

from aldis.domain.errors import Rejected
from aldis.domain.ids import ConversationId, MessageId, UserId
from aldis.domain.messages import Message
from aldis.ports.store import Store
from aldis.services.pages import Page
from aldis.services.read_history import find_own_conversation, sees_above


async def read_thread(
    conversation_id: ConversationId,
    root_id: MessageId,
    user: UserId,
    *,
    before: int | None = None,
    after: int | None = None,
    limit: int,
    store: Store,
) -> Page[Message, int]:
    """As `read_history`, of the thread that began with `root_id`. Who may not see that sees the replies he may."""
    conversation = await find_own_conversation(conversation_id, user, store=store)
    above = await sees_above(conversation, user, store=store)
    root = await _find_root(root_id, conversation_id, above, store=store)
    found = await store.thread(root, before=before, after=after, above=above, limit=limit + 1)
    if not found and root.seq <= above:
        raise _not_there()
    items = found[:limit]
    return Page(items=items, next=items[-1].seq if len(found) > limit else None)


async def _find_root(root_id: MessageId, conversation_id: ConversationId, above: int, *, store: Store) -> Message:
    found = await store.message(root_id)
    if found is None or found[0].conversation_id != conversation_id:
        raise _not_there()
    root, _ = found
    if root.thread_id is None:
        return root
    if root.seq <= above:
        raise _not_there()
    raise Rejected("bad_request", f"this is a reply: its thread began with {root.thread_id}", field="thread")


def _not_there() -> Rejected:
    return Rejected("not_found", "there is no such message in this conversation for you", field="thread")
