"""How far a broadcast has come: counts for its senders, and for a listener his own status.

Nothing is written for each recipient of a broadcast, so that one to a million costs its sender no more than one to
ten. What is told here is read from how far devices and read marks have moved.
"""

from aldis.domain.callers import Caller, UserCaller
from aldis.domain.messages import Message
from aldis.domain.status import RecipientStatus, Status
from aldis.ports.broadcasts import BroadcastCounts
from aldis.ports.store import Store


async def hears_broadcast(message: Message, caller: Caller, *, store: Store) -> bool:
    """Whether a broadcast is for the caller: it was sent while he listened, or its channel shows its past to him."""
    if not isinstance(caller, UserCaller):
        return caller.hears(message.channel)
    listener = await store.listener(message.conversation_id, caller.user)
    return listener is not None and message.seq > listener.from_seq


async def broadcast_status(
    message: Message, caller: Caller, *, store: Store
) -> tuple[list[RecipientStatus], BroadcastCounts | None]:
    """A listener's own status; for backends how many were to hear it, and on whose devices it has come how far."""
    entry = await store.broadcast_entry(message.id)
    if isinstance(caller, UserCaller):
        heard, delivered, read = (
            await store.broadcast_reach(entry, message.conversation_id, caller.user)
            if entry is not None
            else (False, False, False)
        )
        status = Status.READ if read else Status.DELIVERED if delivered else Status.PENDING
        return [RecipientStatus(user=caller.user, status=status)] if heard else [], None
    if entry is None:  # retention has taken its place in the source
        return [], None
    return [], await store.broadcast_counts(entry, message.conversation_id)
