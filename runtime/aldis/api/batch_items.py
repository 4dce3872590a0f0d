"""Reading a batch: each message as it would be read alone, and a mistake in one is that one's.

What is right is read by msgspec, for a fraction of the cost; whatever it does not take is read again as a single send
is, so that its error has the same code, field and words. msgspec takes nothing that the other way refuses: a test
compares the two.
"""

import json
import re
from typing import TypeVar

import msgspec
from pydantic import ValidationError

from aldis.api import schemas
from aldis.api.dependencies import RequestLimits
from aldis.api.errors import MAX_WORDS, from_validation
from aldis.api.messages import check_recipients, to_draft
from aldis.domain.content import json_content, text_content
from aldis.domain.errors import Rejected, Unavailable
from aldis.domain.ids import MAX_NAME
from aldis.domain.messages import Kind
from aldis.domain.scheduling import parse_time
from aldis.domain.streams import Priority
from aldis.services.compose import MAX_CLIENT_ID, MAX_EXPIRES_IN, Draft

T = TypeVar("T")

REQUEST_KEY = "Idempotency-Key"
TARGETS = 4  # that a message may have, and it has one
MAX_ODD_BYTES = 1024 * 1024  # of a body that only Python's own reader takes, which makes up to 20 times as much of it
_is_name = re.compile(rf"[A-Za-z0-9._:@-]{{1,{MAX_NAME}}}").fullmatch
_is_uuid = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
_is_client_id = re.compile(rf"[^\x00-\x1f\x7f-\x9f]{{1,{MAX_CLIENT_ID}}}").fullmatch


class _To(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    user: str | None = None
    users: list[str] | None = None
    conversation: str | None = None
    channel: str | None = None


class _From(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    user: str


class _Text(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="text", gc=False):
    text: str


class _Json(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="json", gc=False):
    data: msgspec.Raw


class _Item(msgspec.Struct, forbid_unknown_fields=True, rename={"from_": "from"}, gc=False):
    to: _To
    content: _Text | _Json
    client_id: str
    kind: Kind | None = None
    channel: str | None = None
    from_: _From | None = None
    priority: Priority | None = None
    expires_in: int | None = None
    reply_to: str | None = None
    send_at: str | None = None


class _Batch(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    messages: list[_Item]


_decode_batch = msgspec.json.Decoder(_Batch).decode
_decode_item = msgspec.json.Decoder(_Item).decode
_decode_parts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)


def parse_batch(body: bytes | bytearray, *, request_key: str | None, limits: RequestLimits) -> list[Draft | Rejected]:
    """What each message of a batch asks for, or why it cannot be read. Raises `Rejected` when the batch is wrong.

    With an Idempotency-Key each message has one of its own, by its place. Fields are named as in a message alone.
    """
    if request_key is not None:  # which needs fingerprints: those of single sends
        keyed = enumerate(_counted(_split(body)))
        return [_read_again(thing, f"{request_key}:{index}", limits) for index, thing in keyed]
    items = _decode_all(body)
    things = _split(body) if items is None else []
    decoded: list[_Item | None] = [*(items if items is not None else map(_decode_one, things))]
    read = [_read(item, limits) for item in _counted(decoded)]
    if None in read:
        pairs = zip(read, things or _split(body), strict=True)
        return [draft or _read_again(thing, None, limits) for draft, thing in pairs]
    return [draft for draft in read if draft is not None]


def in_place(error: Rejected | Unavailable, index: int) -> Rejected | Unavailable:
    """The same error with the path that its field has in the batch; a header is no part of it."""
    if isinstance(error, Unavailable) or error.field is None or error.field == REQUEST_KEY:
        return error
    field = f"messages.{index}.{error.field}" if error.field else f"messages.{index}"
    return Rejected(error.code, error.message, field=field, retry_after_ms=error.retry_after_ms)


def _counted(messages: list[T]) -> list[T]:
    """The messages, if they are as many as a batch may have."""
    if not messages:
        raise Rejected("bad_request", "give at least one message", field="messages")
    if len(messages) > schemas.MAX_BATCH:
        raise Rejected("too_large", f"one call takes at most {schemas.MAX_BATCH} messages", field="messages")
    return messages


def _decode_all(body: bytes | bytearray) -> list[_Item] | None:
    try:
        return _decode_batch(body).messages
    except _UNREADABLE:
        return None  # something in it is wrong: its messages are looked at one by one


def _decode_one(thing: object) -> _Item | None:
    try:
        return _decode_item(thing) if isinstance(thing, msgspec.Raw) else None
    except _UNREADABLE:
        return None


def _read(item: _Item | None, limits: RequestLimits) -> Draft | None:
    """The draft of a message, None when the other way to read is to say what is wrong with it, if anything is."""
    if item is None or not _is_right(item) or len(item.to.users or ()) > limits.recipients:
        return None
    try:
        return _draft_of(item, limits)
    except Rejected:
        return None


def _is_right(item: _Item) -> bool:
    """Whether all is as `schemas.SendBody` wants it."""
    to = item.to
    return (
        (to.user, to.users, to.conversation, to.channel).count(None) == TARGETS - 1
        and _is_client_id(item.client_id) is not None
        and all(name is None or _is_name(name) for name in (to.user, to.channel, item.channel))
        and all(each is None or _is_uuid(each) for each in (to.conversation, item.reply_to))
        and (to.users is None or (bool(to.users) and all(map(_is_name, to.users))))
        and (item.from_ is None or _is_name(item.from_.user) is not None)
        and (item.expires_in is None or 1 <= item.expires_in <= MAX_EXPIRES_IN)
    )


def _draft_of(item: _Item, limits: RequestLimits) -> Draft:
    to, content = item.to, item.content
    if isinstance(content, _Text):
        encoded = text_content(content.text, limit=limits.content_bytes)
    else:
        encoded = json_content(json.loads(bytes(content.data)), limit=limits.content_bytes)
    return Draft(
        content=encoded,
        to_user=to.user,
        to_users=tuple(to.users) if to.users is not None else None,
        to_conversation=to.conversation,
        to_channel=to.channel,
        kind=item.kind,
        channel=item.channel,
        from_user=item.from_.user if item.from_ is not None else None,
        priority=item.priority,
        expires_in=item.expires_in,
        reply_to=item.reply_to,
        client_id=item.client_id,
        send_at=parse_time(item.send_at, "send_at") if item.send_at is not None else None,
    )


def _split(body: bytes | bytearray) -> list[object]:
    """The messages of a batch, each as it was written, or as Python reads it when msgspec cannot read the batch."""
    parts = _parts_of(body)
    for name in parts.keys() - {"messages"}:
        raise Rejected("unknown_field", f"there is no field {name[:MAX_WORDS]}", field=name[:MAX_WORDS])
    messages = parts.get("messages")
    if isinstance(messages, msgspec.Raw):
        try:
            return list[object](_decode_list(messages))
        except msgspec.ValidationError:
            messages = None
    if not isinstance(messages, list):
        raise Rejected("bad_request", "messages must be a list", field="messages")
    return messages


def _parts_of(body: bytes | bytearray) -> dict[str, msgspec.Raw] | dict[str, object]:
    try:
        return _decode_parts(body)
    except msgspec.ValidationError:
        raise Rejected("bad_json", "send one JSON object") from None
    except _UNREADABLE:
        return _parts_of_odd(body)


def _parts_of_odd(body: bytes | bytearray) -> dict[str, object]:
    """Half a character, or a number that JSON does not know, is one message's mistake; Python reads past it."""
    try:
        parts = json.loads(body) if len(body) <= MAX_ODD_BYTES else None
    except (ValueError, RecursionError):
        parts = None
    if not isinstance(parts, dict):
        raise Rejected("bad_json", "the body is not valid JSON")
    return parts


def _read_again(thing: object, request_key: str | None, limits: RequestLimits) -> Draft | Rejected:
    """A message read as a single send is."""
    try:
        value = json.loads(bytes(thing)) if isinstance(thing, msgspec.Raw) else thing
        if not isinstance(value, dict):
            return Rejected("bad_request", "a message is a JSON object", field="")
        item = schemas.BatchItem.model_validate(value, from_attributes=True)  # as FastAPI does
        check_recipients(item, limits.recipients)
        return to_draft(item, request_key, content_bytes=limits.content_bytes)
    except Rejected as error:
        return error
    except ValidationError as error:
        mistakes = error.errors(include_url=False, include_input=False)
        return from_validation([{**mistake, "loc": ("body", *mistake["loc"])} for mistake in mistakes])
    except (ValueError, RecursionError):
        return Rejected("bad_json", "this message is not valid JSON", field="")
