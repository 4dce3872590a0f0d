"""What goes over the socket, as much of it as the generator looks at; the rest is skipped by the decoder."""

import json

import msgspec

TEXT_LENGTH = 100  # bytes in each message
NUMBER_LENGTH = 10  # of them the message's number, by which the generator knows it again


class Content(msgspec.Struct, gc=False):
    """The words of a message."""

    text: str = ""


class Message(msgspec.Struct, gc=False):
    """A message in an event."""

    content: Content | None = None


class Delivered(msgspec.Struct, gc=False):
    """How far a member's devices have acknowledged a conversation, by lane."""

    express: int = 0
    standard: int = 0


class Receipt(msgspec.Struct, gc=False):
    """What a sender is told about a recipient."""

    conversation_id: str = ""
    delivered: Delivered | None = None


class Event(msgspec.Struct, gc=False):
    """One event of one source."""

    pos: int
    type: str
    message: Message | None = None
    receipt: Receipt | None = None


class Connected(msgspec.Struct, gc=False):
    """The answer to connect."""

    cursor: str = ""


class Sent(msgspec.Struct, gc=False):
    """The answer to a send: the message is committed."""

    conversation_id: str
    seq: int


class Refusal(msgspec.Struct, gc=False):
    """An error, with or without the command it answers."""

    code: str
    message: str = ""


class Empty(msgspec.Struct, gc=False):
    """The body of a ping."""


class Goodbye(msgspec.Struct, gc=False):
    """The server's last words before it closes."""

    code: int = 0
    reason: str = ""


class Frame(msgspec.Struct, gc=False):
    """Any frame from the server: exactly one of the bodies is there."""

    id: int | None = None
    source: str | None = None
    events: list[Event] = []
    send: Sent | None = None
    connect: Connected | None = None
    error: Refusal | None = None
    ping: Empty | None = None
    disconnect: Goodbye | None = None


decode = msgspec.json.Decoder(Frame).decode
encode = msgspec.json.Encoder().encode

PONG = b'{"pong":{}}'
_PADDING = "." * (TEXT_LENGTH - NUMBER_LENGTH)


def build_connect(*, token: str, device: str) -> bytes:
    """Return the first frame of a known device that gives no cursor."""
    body = {"id": 0, "connect": {"token": token, "device": {"id": device, "platform": "web"}}}
    return json.dumps(body, separators=(",", ":")).encode()


def build_reader_connect(*, token: str) -> bytes:
    """Return the first frame of a reader without a device, who gets events and moves nothing."""
    return encode({"id": 0, "connect": {"token": token}})


def content_of(number: int) -> dict[str, str]:
    """Return a text of 100 bytes that carries the number."""
    return {"type": "text", "text": f"{number:0{NUMBER_LENGTH}d}{_PADDING}"}


def build_send(number: int, *, recipient: str, priority: str = "normal") -> bytes:
    """Return the command that sends message `number`; its id and its text carry the number back."""
    return (
        f'{{"id":{number},"send":{{"to":{{"user":"{recipient}"}},"client_id":"m{number}","priority":"{priority}",'
        f'"content":{{"type":"text","text":"{number:0{NUMBER_LENGTH}d}{_PADDING}"}}}}}}'
    ).encode()


def build_ack(positions: dict[str, int]) -> bytes:
    """Return the acknowledgement of the highest position of each source."""
    return msgspec.json.encode({"ack": positions})


def number_of(message: Message | None) -> int | None:
    """Return the number in a message's text, or nothing when the message is not one of ours."""
    if message is None or message.content is None or len(message.content.text) != TEXT_LENGTH:
        return None
    return int(message.content.text[:NUMBER_LENGTH])
