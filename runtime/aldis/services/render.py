"""The one JSON form of messages and events, the same on the socket, by REST and between gateways.

Made once per message and spliced with each receiver's position, so that a message to many costs one encoding.
"""

from collections.abc import Iterator, Sequence
from typing import overload

import msgspec

from aldis.domain.ids import UserId, rfc3339
from aldis.domain.messages import Message, Sender
from aldis.domain.receipts import Receipt
from aldis.domain.streams import MESSAGE, Event, EventType
from aldis.services import news

_encode = msgspec.json.Encoder().encode
_NULL = msgspec.Raw(b"null")
_NEW = b'"type":"message",'  # how the body of an event begins that tells of a message for the first time


def message_json(message: Message, now_ms: int) -> bytes:
    """A message as it is at `now_ms`: an expired one keeps its place and loses its content."""
    gone = message.gone_at(now_ms)
    readable = gone is None and message.content is not None
    return _encode(
        news.Message(
            id=message.id,
            conversation_id=message.conversation_id,
            kind=message.kind.value,
            channel=message.channel,
            sender=sender_view(message.sender),
            seq=message.seq,
            client_id=message.client_id,
            content=msgspec.Raw(message.content) if readable and message.content is not None else _NULL,
            gone=gone.value if gone is not None else None,
            reply_to=message.reply_to,
            thread_id=message.thread_id,
            priority=message.priority.value,
            created_at=rfc3339(message.created_at),
            expires_at=_time(message.expires_at),
            edited_at=_time(message.edited_at),
        )
    )


class Rendering:
    """The body of a new message's event, made when somebody is there to read it, and once for all of them."""

    __slots__ = ("_body", "_message", "_now_ms")

    def __init__(self, message: Message, now_ms: int) -> None:
        self._message = message
        self._now_ms = now_ms
        self._body: bytes | None = None

    def body(self) -> bytes:
        """The bytes."""
        if self._body is None:
            self._body = message_event(message_json(self._message, self._now_ms))
        return self._body


class LaterEvents(Sequence[Event]):
    """Events by position, rendering and whether they are own. Of those who are nowhere connected none is rendered."""

    __slots__ = ("_made", "_places")

    def __init__(self, places: Sequence[tuple[int, Rendering, bool]]) -> None:
        self._places = places
        self._made: tuple[Event, ...] | None = None

    def _all(self) -> tuple[Event, ...]:
        if self._made is None:
            self._made = tuple(Event(position, rendering.body(), own) for position, rendering, own in self._places)
        return self._made

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Event, ...]: ...
    def __getitem__(self, index: int | slice) -> Event | tuple[Event, ...]:
        return self._all()[index]

    def __iter__(self) -> Iterator[Event]:
        return iter(self._all())


def sender_view(sender: Sender) -> dict[str, str]:
    """`{"user": …}` or `{"backend": …}`."""
    return {"user": sender.user} if sender.user is not None else {"backend": sender.backend or ""}


def message_event(rendered: bytes, type_: EventType = MESSAGE) -> bytes:
    """The body of an event around the JSON of a message; edits and deletions carry the message as it is now."""
    if type_ == MESSAGE:
        return b'%b"message":%b}' % (_NEW, rendered)
    return b'"type":"%b","message":%b}' % (type_.encode(), rendered)


def is_revision(body: bytes) -> bool:
    """Whether the body of a message's event tells of an edit or a deletion."""
    return not body.startswith(_NEW)


def state_event(type_: str, value: bytes) -> bytes:
    """The body of an event of source `r`: `"type":"receipt","receipt":{…}`."""
    name = type_.encode()
    return b'"type":"%b","%b":%b}' % (name, name, value)


def fact_of(message: Message, members: Sequence[UserId]) -> dict[str, object]:
    """What an event for the outside says of a message: everything but its content."""
    return {
        "message_id": message.id,
        "conversation_id": message.conversation_id,
        "channel": message.channel,
        "kind": message.kind.value,
        "seq": message.seq,
        "sender": sender_view(message.sender),
        "recipients": [user for user in members if user != message.sender.user],
    }


def receipt_json(receipt: Receipt) -> bytes:
    """A receipt as a state value."""
    return _encode(
        news.Receipt(
            conversation_id=receipt.conversation_id,
            user=receipt.user,
            delivered=news.Delivered(express=receipt.express, standard=receipt.standard),
            read_seq=receipt.read_seq,
        )
    )


def value_json(value: object) -> bytes:
    """Any plain value as compact JSON."""
    return _encode(value)


def _time(ms: int | None) -> str | None:
    return rfc3339(ms) if ms is not None else None
