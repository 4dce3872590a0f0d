"""What devices are told, as it is encoded: messages in their one form, and the state of `r`.

These structures are what is written and what the description of the socket is made from, so the two cannot differ.
Enums and patterns stand in the annotations for whoever reads them there; nothing is checked when something is encoded.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec

from aldis.domain.ids import MAX_NAME
from aldis.domain.messages import Gone, Kind
from aldis.domain.streams import MAX_POSITION, Priority


def one_of(names: Iterable[str]) -> msgspec.Meta:
    """Text that is one of these."""
    return msgspec.Meta(extra_json_schema={"enum": [str(name) for name in names]})


Name = Annotated[str, msgspec.Meta(pattern=rf"^[A-Za-z0-9._:@-]{{1,{MAX_NAME}}}$")]
Uuid = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Time = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
Position = Annotated[int, msgspec.Meta(ge=0, le=MAX_POSITION)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class TextContent(msgspec.Struct, frozen=True, tag_field="type", tag="text"):
    """Text."""

    text: Annotated[str, msgspec.Meta(min_length=1)]


class JsonContent(msgspec.Struct, frozen=True, tag_field="type", tag="json"):
    """Anything JSON, at most 32 deep."""

    data: Any


CONTENTS = (TextContent, JsonContent)


class UserSender(msgspec.Struct, frozen=True):
    """A user who wrote."""

    user: Name


class BackendSender(msgspec.Struct, frozen=True):
    """A backend that wrote."""

    backend: str


SENDERS = (UserSender, BackendSender)


def any_of(types: Iterable[type], *, nullable: bool = False) -> msgspec.Meta:
    """One of these structures, by the names under which a description has them."""
    parts: list[dict[str, str]] = [{"$ref": f"#/components/schemas/{type_.__name__}"} for type_ in types]
    return msgspec.Meta(extra_json_schema={"anyOf": [*parts, *([{"type": "null"}] if nullable else [])]})


class Message(msgspec.Struct):
    """A message as it is now; without its content when that is `gone`."""

    id: Uuid
    conversation_id: Uuid
    kind: Annotated[str, one_of(Kind)]
    channel: Name
    sender: Annotated[Any, any_of(SENDERS)]
    seq: Position
    client_id: str | None
    content: Annotated[msgspec.Raw, any_of(CONTENTS, nullable=True)]
    gone: Annotated[str, one_of(Gone)] | None
    reply_to: Uuid | None
    thread_id: Uuid | None
    priority: Annotated[str, one_of(Priority)]
    created_at: Time
    expires_at: Time | None
    edited_at: Time | None


class Delivered(msgspec.Struct, frozen=True):
    """The highest `seq` acknowledged in each lane."""

    express: Position
    standard: Position


class Receipt(msgspec.Struct, frozen=True):
    """How far another member of a conversation has come."""

    conversation_id: Uuid
    user: Name
    delivered: Delivered
    read_seq: Position


class Read(msgspec.Struct, frozen=True):
    """What this user has read, told to all of the user's devices."""

    conversation_id: Uuid
    read_seq: Position
    unread: Count


class Badge(msgspec.Struct, frozen=True):
    """All that is unread, told when something was read."""

    badge: Count


class Subscription(msgspec.Struct, frozen=True):
    """A broadcast channel that this user hears from now on, or hears no more."""

    channel: Name
    subscribed: bool


class ConversationSettings(msgspec.Struct, frozen=True):
    """How this user has set a conversation."""

    conversation_id: Uuid
    muted: bool
    archived: bool


class StatusNews(msgspec.Struct, frozen=True):
    """A message of this user has failed for a recipient, or has been delivered after all."""

    message_id: Uuid
    conversation_id: Uuid
    recipient: Name
    status: Annotated[str, one_of(["failed", "delivered", "read", "pending"])]
    reason: Annotated[str, one_of(["attempts_exhausted", "expired"])] | None


StateNews = Receipt | Read | Badge | Subscription | ConversationSettings | StatusNews
StateType = Literal["receipt", "read", "badge", "subscription", "conversation", "status"]
STATES: dict[StateType, type[StateNews]] = {
    "receipt": Receipt,
    "read": Read,
    "badge": Badge,
    "subscription": Subscription,
    "conversation": ConversationSettings,
    "status": StatusNews,
}


class Typing(msgspec.Struct, frozen=True, tag_field="type", tag="typing"):
    """A user types in a chat."""

    conversation_id: Uuid
    user: Name


class Presence(msgspec.Struct, frozen=True, tag_field="type", tag="presence"):
    """A user who is watched has come or gone."""

    user: Name
    online: bool


EPHEMERA = (Typing, Presence)
