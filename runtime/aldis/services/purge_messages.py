"""Taking the contents of one user's messages out of a stretch of a conversation, and telling its other members."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from aldis.domain.ids import ConversationId, UserId
from aldis.domain.messages import Gone, Kind, Message
from aldis.domain.streams import DELETED, Batch, Event, Source
from aldis.ports.store import Conversation, LaneEntry, Transaction
from aldis.services.render import message_event, message_json


async def purge_window(
    user: UserId, conversation_id: ConversationId, low: int, high: int, transaction: Transaction, now_ms: int
) -> tuple[int, list[Batch]]:
    """Purge what is the user's above `low` up to `high`; answer how many had content, and who is to be told."""
    conversation = (await transaction.conversations([conversation_id]))[conversation_id]
    messages = await transaction.messages_between(conversation_id, low, high)
    own = [message for message in messages if is_of(user, message, conversation)]
    await transaction.purge_messages(own)
    await transaction.forget_states(_states_about(user, conversation, messages, is_first=low == 0))
    told = [purged(message) for message in own if message.content is not None]
    others = [member for member in conversation.members if member != user]
    return len(told), await _tell(others, told, transaction, now_ms)


def is_of(user: UserId, message: Message, conversation: Conversation) -> bool:
    """Whether he wrote it, or it was sent to him alone."""
    alone = conversation.kind is Kind.NOTIFICATION and not conversation.broadcast
    return message.sender.user == user or (alone and conversation.members == (user,))


def purged(message: Message) -> Message:
    """What is left of a message: its place."""
    return replace(message, content=None, gone=Gone.PURGED, client_id=None, edited_at=None)


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


async def _tell(
    members: Sequence[UserId], messages: Sequence[Message], transaction: Transaction, now_ms: int
) -> list[Batch]:
    """An event for each member and message, as for a deletion."""
    if not members or not messages:
        return []
    counts: Counter[tuple[UserId, Source]] = Counter((member, m.lane) for m in messages for member in members)
    heads = await transaction.extend_sources(counts, {})
    following = {key: head - counts[key] for key, head in heads.items()}
    entries: list[LaneEntry] = []
    events: dict[tuple[UserId, Source], list[Event]] = {}
    for message in messages:
        body = message_event(message_json(message, now_ms), DELETED)
        for member in members:
            following[member, message.lane] = position = following[member, message.lane] + 1
            entries.append(_entry(member, position, message))
            events.setdefault((member, message.lane), []).append(Event(position, body, own=True))
    await transaction.insert_entries(entries)
    return [Batch(member, source, tuple(of_lane)) for (member, source), of_lane in events.items()]


def _entry(member: UserId, position: int, message: Message) -> LaneEntry:
    """Marked as one's own: that something is gone is no delivery, makes no receipt and is not rung for."""
    return LaneEntry(
        member, message.lane, position, message.id, message.conversation_id, message.seq, own=True, type=DELETED
    )
