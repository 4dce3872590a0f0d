"""The wire's text: commands parsed and checked, replies and news built.

A frame that is no JSON object is a `BadFrame` and ends the connection; an object with something wrong in it is
`Rejected` with the path of the field and leaves the connection as it was.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from aldis.domain.content import json_content, text_content
from aldis.domain.errors import Rejected, Unavailable
from aldis.domain.ids import MAX_NAME, rfc3339
from aldis.domain.messages import Kind, Stored
from aldis.domain.streams import MAX_POSITION, Batch, Event, Priority
from aldis.gateway.answers import Disconnect, ErrorBody, Sent
from aldis.services.compose import MAX_CLIENT_ID, MAX_EXPIRES_IN, Draft
from aldis.services.read_presence import MAX_WATCHED

MAX_EVENTS = 200  # in one frame
MAX_FRAME_BYTES = 32 * 1024  # of events in one frame, if they are more than one
MAX_WORDS = 300  # characters of a client's own words that an error repeats
_FORBIDDEN = ("from", "push", "send_at")  # what only a backend may say, by REST
_PATH = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>.*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`")
_MISSING = re.compile(r"missing required field `(?P<name>[^`]*)`")


def _told(**schema: Any) -> msgspec.Meta:
    """What is checked behind, in our own words, told to the readers of the description."""
    return msgspec.Meta(extra_json_schema=schema)


Name = Annotated[str, _told(pattern=rf"^[A-Za-z0-9._:@-]{{1,{MAX_NAME}}}$")]
Uuid = Annotated[str, _told(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Position = Annotated[int, _told(minimum=0, maximum=MAX_POSITION)]
ClientId = Annotated[str, _told(pattern=rf"^[^\x00-\x1f\x7f-\x9f]{{1,{MAX_CLIENT_ID}}}$")]
Seconds = Annotated[int, _told(minimum=1, maximum=MAX_EXPIRES_IN)]
REFUSED = "x-refused"
Refused = Annotated[Any, _told(**{REFUSED: True})]  # known, so that it can be refused as what it is


class BadFrame(Exception):
    """Not one JSON object in a text frame."""


class DeviceBody(msgspec.Struct, forbid_unknown_fields=True):
    """A device as it names itself."""

    id: Name
    platform: Name = "unknown"


class ConnectBody(msgspec.Struct, forbid_unknown_fields=True):
    """The first command."""

    token: str | None = None
    device: DeviceBody | None = None
    cursor: str | None = None


class ToBody(msgspec.Struct, forbid_unknown_fields=True):
    """A recipient: one of the first two; the others are a backend's."""

    user: Name | None = None
    conversation: Uuid | None = None
    users: Refused = None
    channel: Refused = None


class ContentBody(msgspec.Struct, forbid_unknown_fields=True):
    """Text, JSON or media, by type."""

    type: str
    text: str | None = None
    data: Any = msgspec.UNSET
    media_id: str | None = None
    caption: str | None = None


class SendBody(msgspec.Struct, forbid_unknown_fields=True, rename={"from_": "from"}):
    """A message to be sent."""

    to: ToBody
    content: ContentBody
    client_id: ClientId
    channel: Name | None = None
    priority: Priority = Priority.NORMAL
    reply_to: Uuid | None = None
    expires_in: Seconds | None = None
    kind: Kind | None = None
    from_: Refused = None
    push: Refused = None
    send_at: Refused = None


class ReadBody(msgspec.Struct, forbid_unknown_fields=True):
    """A conversation read up to a seq."""

    conversation_id: Uuid
    seq: Position


class TypingBody(msgspec.Struct, forbid_unknown_fields=True):
    """Where the user types."""

    conversation_id: Uuid


class PresenceBody(msgspec.Struct, forbid_unknown_fields=True):
    """Whose coming and going is to be told; replaces what was said before."""

    watch: Annotated[list[Name], _told(maxItems=MAX_WATCHED)]


class RefreshBody(msgspec.Struct, forbid_unknown_fields=True):
    """A newer token."""

    token: str


class AckBody(msgspec.Struct, forbid_unknown_fields=True):
    """Positions confirmed, by source."""

    e: Position | None = None
    s: Position | None = None
    be: Position | None = None
    bs: Position | None = None
    r: Position | None = None


class Command(msgspec.Struct, forbid_unknown_fields=True):
    """One frame of a client: an id and one command."""

    id: int | None = None
    connect: ConnectBody | None = None
    send: SendBody | None = None
    ack: AckBody | None = None
    read: ReadBody | None = None
    typing: TypingBody | None = None
    presence: PresenceBody | None = None
    refresh: RefreshBody | None = None
    pong: dict[str, Any] | None = None
    ping: dict[str, Any] | None = None


class _Any(msgspec.Struct):
    id: Any = None


_decode = msgspec.json.Decoder(Command).decode
_decode_id = msgspec.json.Decoder(_Any).decode
_encode = msgspec.json.Encoder().encode


class RefusedCommand(Exception):
    """A command that is wrong in itself, with the id to answer to (None when it had none)."""

    def __init__(self, command_id: int | None, error: Rejected) -> None:
        super().__init__(error.message)
        self.command_id = command_id
        self.error = error


def parse_command(data: bytes) -> Command:
    """Read a frame. Raises `BadFrame` or `RefusedCommand`."""
    try:
        command = _decode(data)
    except msgspec.ValidationError as error:
        raise RefusedCommand(_id_of(data), _explain(error)) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadFrame("not a JSON object") from error
    named = sum(
        part is not None
        for part in (
            command.connect, command.send, command.ack, command.read, command.typing, command.presence,
            command.refresh, command.pong, command.ping,
        )
    )  # fmt: skip
    if named != 1:
        raise RefusedCommand(command.id, Rejected("unknown_command", "a frame carries exactly one command"))
    return command


def _id_of(data: bytes) -> int | None:
    try:
        identifier = _decode_id(data).id
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadFrame("not a JSON object") from error
    return identifier if isinstance(identifier, int) and not isinstance(identifier, bool) else None


def _explain(error: msgspec.ValidationError) -> Rejected:
    match = _PATH.match(str(error))
    assert match is not None
    what, path = match["what"], (match["path"] or "").lstrip(".")
    unknown, missing = _UNKNOWN.search(what), _MISSING.search(what)
    if unknown is not None:
        field = f"{path}.{unknown['name']}".lstrip(".")[:MAX_WORDS]
        if not path:
            return Rejected("unknown_command", "this is not a command of the contract", field=field)
        return Rejected("unknown_field", "this field is not part of the contract", field=field)
    if missing is not None:
        return Rejected("bad_request", "this field is required", field=f"{path}.{missing['name']}".lstrip("."))
    return Rejected("bad_request", what[:MAX_WORDS], field=path or None)


def draft_of(body: SendBody, *, content_bytes: int) -> Draft:
    """A send of a user, checked as far as it can be without knowing who and what is there."""
    for field in _FORBIDDEN:
        if getattr(body, "from_" if field == "from" else field) is not None:
            raise Rejected("forbidden_field", f"a user may not set {field}", field=f"send.{field}")
    for field in ("users", "channel"):
        if getattr(body.to, field) is not None:
            raise Rejected("forbidden_field", f"a user may not send to {field}", field=f"send.to.{field}")
    if (body.to.user is None) == (body.to.conversation is None):
        raise Rejected("bad_request", "name one recipient: to.user or to.conversation", field="send.to")
    return Draft(
        content=_content(body.content, content_bytes),
        to_user=body.to.user,
        to_conversation=body.to.conversation,
        kind=body.kind,
        channel=body.channel,
        priority=body.priority,
        expires_in=body.expires_in,
        reply_to=body.reply_to,
        client_id=body.client_id,
    )


def _content(body: ContentBody, limit: int) -> bytes:
    if body.type == "text" and body.text is not None and body.data is msgspec.UNSET:
        return text_content(body.text, limit=limit, field="send.content.text")
    if body.type == "json" and body.data is not msgspec.UNSET and body.text is None:
        return json_content(body.data, limit=limit, field="send.content.data")
    if body.type == "media":
        raise Rejected("bad_request", "media is not supported yet", field="send.content.type")
    raise Rejected(
        "bad_request", 'content is {"type":"text","text":…} or {"type":"json","data":…}', field="send.content"
    )


def positions_of(body: AckBody) -> dict[str, int]:
    """The positions of an ack. Raises `Rejected` when there is none or one is no position."""
    given = {source: at for source in ("e", "s", "be", "bs", "r") if (at := getattr(body, source)) is not None}
    if not given:
        raise Rejected("bad_request", "an ack names at least one source", field="ack")
    for source, position in given.items():
        if not 0 <= position <= MAX_POSITION:
            raise Rejected("bad_cursor", "this is not a position", field=f"ack.{source}")
    return given


def reply(command_id: int | None, name: str, body: object) -> bytes:
    """The answer to a command; one without an id is answered without."""
    return news(name, body) if command_id is None else _encode({"id": command_id, name: body})


def news(name: str, body: object) -> bytes:
    """What nobody asked for."""
    return _encode({name: body})


def sent_reply(command_id: int | None, stored: Stored, created_ms: int) -> bytes:
    """The answer to a send."""
    sent = Sent(
        message_id=stored.message_id,
        conversation_id=stored.conversation_id,
        seq=stored.seq,
        created_at=rfc3339(created_ms),
        duplicate=stored.duplicate,
    )
    return reply(command_id, "send", sent)


def error_frame(command_id: int | None, error: Rejected | Unavailable) -> bytes:
    """An error: the answer to a command, or news for one that had no id."""
    body = ErrorBody(
        code=error.code,
        message=error.message,
        field=error.field,
        retryable=error.retryable,
        retry_after_ms=error.retry_after_ms,
    )
    return reply(command_id, "error", body)


def disconnect_frame(code: int, reason: str, *, reconnect: bool, after_ms: int) -> bytes:
    """What is said just before the close frame."""
    return news("disconnect", Disconnect(code=code, reason=reason, reconnect=reconnect, after_ms=after_ms))


def events_frame(source: str, events: Sequence[Event]) -> bytes:
    """A frame of consecutive events of one source."""
    listed = b",".join([b'{"pos":%d,%b' % (event.pos, event.body) for event in events])
    return b'{"source":"%b","events":[%b]}' % (source.encode(), listed)


def split_events(events: Sequence[Event]) -> list[tuple[Event, ...]]:
    """Cut events into what fits in a frame each, in order."""
    if len(events) == 1:
        return [(events[0],)]
    parts: list[tuple[Event, ...]] = []
    part: list[Event] = []
    size = 0
    for event in events:
        if part and (len(part) == MAX_EVENTS or size + len(event.body) > MAX_FRAME_BYTES):
            parts.append(tuple(part))
            part, size = [], 0
        part.append(event)
        size += len(event.body)
    return [*parts, tuple(part)] if part else parts


def batch_frames(batch: Batch) -> list[tuple[tuple[Event, ...], bytes]]:
    """The frames of a batch with their events, each encoded once for all readers."""
    return [(part, events_frame(batch.source, part)) for part in split_events(batch.events)]
