"""What the server says on a socket besides events: answers to commands, errors, and the last words.

What is encoded is made of these structures, and so is the description of the socket.
"""

from typing import Annotated

import msgspec

from aldis.domain.errors import CODES
from aldis.gateway.close_codes import CloseCode
from aldis.services.news import Count, Name, Position, Time, Uuid


class WelcomeLimits(msgspec.Struct, frozen=True):
    """What this connection may use."""

    content_bytes: int
    messages_per_second: float
    burst: int
    connections: int


class Welcome(msgspec.Struct, frozen=True):
    """The answer to `connect`; what the device has missed follows, express first."""

    connection: Uuid
    user: Name
    cursor: str
    recovered: bool
    ping_interval: float
    limits: WelcomeLimits


class Sent(msgspec.Struct, frozen=True):
    """A message that is committed."""

    message_id: Uuid
    conversation_id: Uuid
    seq: Position
    created_at: Time
    duplicate: bool


class Unread(msgspec.Struct, frozen=True):
    """What is still unread in the conversation, and in all."""

    unread: Count
    badge: Count


class UserOnline(msgspec.Struct, frozen=True):
    """Whether a user is connected, as far as this one may know."""

    user: Name
    online: bool


class Watched(msgspec.Struct, frozen=True):
    """The new list, each user once, in its order."""

    users: list[UserOnline]


class Refreshed(msgspec.Struct, frozen=True):
    """How long the connection now lives."""

    expires_at: Time


class Nothing(msgspec.Struct, frozen=True):
    """An empty object."""


class ErrorBody(msgspec.Struct, frozen=True):
    """Why a command failed. `code` is stable; `field` is the path of what is wrong, from the top of the frame."""

    code: Annotated[str, msgspec.Meta(extra_json_schema={"x-extensible-enum": list(CODES)})]
    message: str
    field: str | None
    retryable: bool
    retry_after_ms: Count | None


class Disconnect(msgspec.Struct, frozen=True):
    """Why the server closes the connection, just before it does."""

    code: Annotated[int, msgspec.Meta(extra_json_schema={"x-extensible-enum": [int(code) for code in CloseCode]})]
    reason: str
    reconnect: bool
    after_ms: Count


ANSWERS: dict[str, type[msgspec.Struct] | None] = {
    "connect": Welcome,
    "send": Sent,
    "ack": None,
    "read": Unread,
    "typing": None,
    "presence": Watched,
    "refresh": Refreshed,
    "pong": None,
    "ping": Nothing,
}
"""What each command is answered with; None for those that get no answer unless they fail."""
ANSWERED_AS = {"ping": "pong"}  # the others' answers go by the name of the command
NEED_ID = frozenset({"send"})  # commands that are refused without an id
