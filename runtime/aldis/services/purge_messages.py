"""Taking the contents of one user's messages out of a stretch of a conversation, and telling its other members."""

from collections.abc import Sequence

from aldis.domain.ids import ConversationId, UserId
from aldis.domain.messages import Kind, Message, purged
from aldis.domain.streams import DELETED, Batch
from aldis.ports.store import Conversation, Transaction
from aldis.services.tell_members import tell_members


async def purge_window(
    user: UserId, conversation_id: ConversationId, low: int, high: int, transaction: Transaction, now_ms: int
) -> tuple[int, list[Batch]]:
    """Purge what is the user's above `low` up to `high`; answer how many had content, and who is to be told."""
    conversation = (await transaction.conversations([conversation_id]))[conversation_id]
    messages = await transaction.messages_between(conversation_id, low, high)
    own = [message for message in messages if is_of(user, message, conversation)]
    await transaction.purge_messages(own)
    await transaction.forget_waiting(own)
    await transaction.forget_states(_states_about(user, conversation, messages, is_first=low == 0))
    told = [purged(message) for message in own if message.content is not None]
    return len(told), await tell_members(told, DELETED, transaction, now_ms, but=user)


def is_of(user: UserId, message: Message, conversation: Conversation) -> bool:
    """Whether he wrote it, or it was sent to him alone."""
    alone = conversation.kind is Kind.NOTIFICATION and not conversation.broadcast
    return message.sender.user == user or (alone and conversation.members == (user,))


def _states_about(
    user: UserId, conversation: Conversation, messages: Sequence[Message], *, is_first: bool
) -> list[tuple[UserId, str]]:
    """What others' state says of him: how far he has come, and what did not reach him."""
    receipts = [
        (member, f"receipt:{conversation.id}:{user}") for member in conversation.members if member != user and is_first
    ]
    failed = [
        (message.sender.user, f"status:{message.id}:{user}")
        for message in messages
        if message.sender.user is not None and message.sender.user != user
    ]
    return receipts + failed
