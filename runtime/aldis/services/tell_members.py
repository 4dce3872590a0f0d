"""Telling members what has become of a conversation's messages: an event for each, in the message's own source.

A new position, so that devices that were away are told as well, in the order of the commits; marked as one's own, for
an edit or a deletion is no delivery, makes no receipt and is not rung for.
"""

from collections import Counter
from collections.abc import Sequence

from aldis.domain.ids import UserId
from aldis.domain.messages import Message
from aldis.domain.streams import Batch, Event, EventType, Source
from aldis.ports.store import LaneEntry, Transaction
from aldis.services.render import message_event, message_json


async def tell_members(
    messages: Sequence[Message], type_: EventType, transaction: Transaction, now_ms: int, *, but: UserId | None = None
) -> list[Batch]:
    """Tell of messages of one conversation, as they are now, whoever of its members may see them; `but` one."""
    if not messages:
        return []
    hidden_up_to = await transaction.members_from(messages[0].conversation_id)
    members = sorted(member for member in hidden_up_to if member != but)
    told = [(member, message) for message in messages for member in members if message.seq > hidden_up_to[member]]
    counts: Counter[tuple[UserId, Source]] = Counter((member, message.lane) for member, message in told)
    heads = await transaction.extend_sources(counts, {})
    following = {key: head - counts[key] for key, head in heads.items()}
    bodies = {message.id: message_event(message_json(message, now_ms), type_) for message in messages}
    entries: list[LaneEntry] = []
    events: dict[tuple[UserId, Source], list[Event]] = {}
    for member, message in told:
        following[member, message.lane] = position = following[member, message.lane] + 1
        entries.append(_entry(member, position, message, type_, now_ms))
        events.setdefault((member, message.lane), []).append(Event(position, bodies[message.id], own=True))
    await transaction.insert_entries(entries)
    return [Batch(member, source, tuple(of_lane)) for (member, source), of_lane in events.items()]


def _entry(member: UserId, position: int, message: Message, type_: EventType, now_ms: int) -> LaneEntry:
    return LaneEntry(
        member,
        message.lane,
        position,
        message.id,
        message.conversation_id,
        message.seq,
        own=True,
        type=type_,
        revised_at=now_ms,
    )
