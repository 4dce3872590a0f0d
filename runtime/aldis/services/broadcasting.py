"""Put messages into the installation's sources: one row each, whoever hears them.

A broadcast names the number of the last change of audiences, read in its own transaction: a gateway that has not seen
that change yet reads it first, so nobody who has subscribed before is left out, and nothing is written per listener.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from aldis.domain.messages import Message
from aldis.domain.streams import MESSAGE, Broadcast, BroadcastEvent, BroadcastSource, EventType, broadcast_source
from aldis.ports.broadcasts import EVERYONE, BroadcastEntry, BroadcastRows
from aldis.services.render import message_event, message_json


class Announcement(NamedTuple):
    """A message of a broadcast channel, as it is now; `everyone`: all hear it."""

    message: Message
    everyone: bool
    type: EventType = MESSAGE


async def put_broadcasts(
    announcements: Sequence[Announcement], transaction: BroadcastRows, now_ms: int
) -> list[Broadcast]:
    """Give each its position and store it; answer what all gateways are to be told after the commit."""
    if not announcements:
        return []
    number = await transaction.audience_number()
    counts: Counter[BroadcastSource] = Counter(broadcast_source(of.message.lane) for of in announcements)
    heads = await transaction.extend_broadcasts(counts)
    following = {source: head - counts[source] for source, head in heads.items()}
    entries: list[BroadcastEntry] = []
    events: dict[BroadcastSource, list[BroadcastEvent]] = {}
    for message, everyone, type_ in announcements:
        source = broadcast_source(message.lane)
        following[source] = position = following[source] + 1
        audience = EVERYONE if everyone else number
        revised_at = now_ms if type_ != MESSAGE else None
        entries.append(
            BroadcastEntry(source, position, message.channel, message.id, message.seq, audience, type_, revised_at)
        )
        body = message_event(message_json(message, now_ms), type_)
        events.setdefault(source, []).append(BroadcastEvent(position, body, channel=message.channel, audience=audience))
    await transaction.insert_broadcasts(entries)
    at = min((of.message.created_at for of in announcements if of.type == MESSAGE), default=0)
    return [Broadcast(source, tuple(of_source), at) for source, of_source in events.items()]
