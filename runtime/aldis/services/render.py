"""The one JSON form of messages and events, the same on the socket, by REST and between gateways.

Made once per message and spliced with each receiver's position, so that a message to many costs one encoding.
"""

import msgspec

from aldis.domain.ids import rfc3339
from aldis.domain.messages import Gone, Message, Sender
from aldis.domain.receipts import Receipt
from aldis.domain.streams import MESSAGE, EventType
from aldis.services import news

_encode = msgspec.json.Encoder().encode
_NULL = msgspec.Raw(b"null")


def message_json(message: Message, now_ms: int) -> bytes:
    """A message as it is at `now_ms`: an expired one keeps its place and loses its content."""
    gone = message.gone
    if gone is None and message.expires_at is not None and message.expires_at <= now_ms:
        gone = Gone.EXPIRED
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


def sender_view(sender: Sender) -> dict[str, str]:
    """`{"user": …}` or `{"backend": …}`."""
    return {"user": sender.user} if sender.user is not None else {"backend": sender.backend or ""}


def message_event(rendered: bytes, type_: EventType = MESSAGE) -> bytes:
    """The body of an event around the JSON of a message; edits and deletions carry the message as it is now."""
    if type_ == MESSAGE:
        return b'"type":"message","message":%b}' % rendered
    return b'"type":"%b","message":%b}' % (type_.encode(), rendered)


def state_event(type_: str, value: bytes) -> bytes:
    """The body of an event of source `r`: `"type":"receipt","receipt":{…}`."""
    name = type_.encode()
    return b'"type":"%b","%b":%b}' % (name, name, value)


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
