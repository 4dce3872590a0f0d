"""What goes over the socket, read and written by hand: a witness must not lean on the client it judges."""

import re
from typing import Any

import msgspec

LANES = ("e", "s")
SOURCES = ("e", "s", "be", "bs", "r")
_PLACE = re.compile(r"(e|s|be|bs|r)(\d+)")


class Message(msgspec.Struct, gc=False):
    """A message in an event."""

    id: str
    conversation_id: str
    seq: int
    client_id: str | None = None


class Delivered(msgspec.Struct, gc=False):
    """How far the devices of a member have confirmed a conversation, by lane."""

    express: int
    standard: int


class Receipt(msgspec.Struct, gc=False):
    """What a sender is told about a recipient."""

    conversation_id: str
    user: str
    delivered: Delivered
    read_seq: int


class Event(msgspec.Struct, gc=False):
    """An event of one source."""

    pos: int
    type: str
    message: Message | None = None
    receipt: Receipt | None = None


class Connected(msgspec.Struct, gc=False):
    """The answer to connect."""

    cursor: str
    recovered: bool


class Sent(msgspec.Struct, gc=False):
    """The answer to a send."""

    message_id: str
    conversation_id: str
    seq: int
    duplicate: bool


class Refusal(msgspec.Struct, gc=False):
    """An error."""

    code: str
    message: str = ""
    field: str | None = None
    retryable: bool = False


class Goodbye(msgspec.Struct, gc=False):
    """The server's last words before a close frame."""

    code: int
    reason: str
    reconnect: bool
    after_ms: int


class Frame(msgspec.Struct, gc=False):
    """Any frame of the server: one of the bodies is there."""

    id: int | None = None
    source: str | None = None
    events: list[Event] = []
    send: Sent | None = None
    connect: Connected | None = None
    error: Refusal | None = None
    ping: dict[str, Any] | None = None
    disconnect: Goodbye | None = None


decode = msgspec.json.Decoder(Frame).decode
_encode = msgspec.json.Encoder().encode


def connect_command(token: str, device: str | None, cursor: str | None) -> bytes:
    """The first frame of a connection."""
    body: dict[str, Any] = {"token": token}
    body |= {"device": {"id": device, "platform": "web"}} if device is not None else {}
    body |= {"cursor": cursor} if cursor is not None else {}
    return _encode({"id": 0, "connect": body})


def send_command(number: int, send: dict[str, Any]) -> bytes:
    """A send under a number, which its answer repeats."""
    return _encode({"id": number, "send": send})


def send_body(to: str, client_id: str, *, priority: str = "normal", padding: int = 0) -> dict[str, Any]:
    """A text to a user, made longer by some bytes."""
    content = {"type": "text", "text": f"this is {client_id}{'.' * padding}"}
    return {"to": {"user": to}, "client_id": client_id, "content": content, "priority": priority}


def ack_command(positions: dict[str, int]) -> bytes:
    """An acknowledgement."""
    return _encode({"ack": positions})


def parse_places(cursor: str) -> tuple[str, dict[str, int]]:
    """The epoch and the positions of a cursor."""
    epoch, *parts = cursor.split(".")
    matches = [_PLACE.fullmatch(part) for part in parts]
    places = {match[1]: int(match[2]) for match in matches if match is not None}
    assert places.keys() >= set(SOURCES), f"not a cursor: {cursor}"
    return epoch, places


def format_places(epoch: str, places: dict[str, int]) -> str:
    """The cursor with these positions."""
    return ".".join([epoch, *(f"{source}{places[source]}" for source in SOURCES)])
