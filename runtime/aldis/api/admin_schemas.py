"""The shapes that calls for administrators take and give."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, StringConstraints, WithJsonSchema

from aldis.api.schemas import (
    DEFAULT_PAGE,
    Asked,
    BackendSender,
    Given,
    Json,
    Limit,
    Name,
    Number,
    PageCursor,
    Position,
    Taken,
    Text,
    Time,
    UserSender,
    Uuid,
)
from aldis.services.issue_key import OVERLAP

SHAPE = "x-shape"  # stands for a schema that is not made from a class here, until the description is put together
CHANNEL_SPEC = WithJsonSchema({SHAPE: "ChannelSpec"})
Words = Annotated[str, StringConstraints(min_length=1, max_length=200)]
# It goes into a close frame, whose reason has at most 123 bytes.
Reason = Annotated[str, StringConstraints(pattern=r"^[ -~]{1,100}$")]


MAX_KEY_LIFE = 10 * 366 * 24 * 3600  # seconds: ten years
KeyLife = Annotated[int, Field(ge=1, le=MAX_KEY_LIFE)]
KeyId = Annotated[str, StringConstraints(pattern="^[0-9a-f]{16}$")]
ScopeName = Literal["send", "send_as", "admin"]


def _sending() -> list[ScopeName]:
    return ["send", "send_as"]


class PageQuery(Asked):
    """A page of a list."""

    cursor: PageCursor | None = None
    limit: Limit = DEFAULT_PAGE


class ConnectionsQuery(PageQuery):
    """Whose connections."""

    user: Name | None = None


class AuditQuery(PageQuery):
    """Which entries of the log."""

    actor: Words | None = None
    action: Words | None = None
    target: Words | None = None


class MessagesQuery(PageQuery):
    """Which messages; `from` is included, `until` is not."""

    channel: Name | None = None
    sender: Name | None = None
    recipient: Name | None = None
    conversation: Uuid | None = None
    from_: AwareDatetime | None = Field(default=None, alias="from")
    until: AwareDatetime | None = None
    text: Words | None = None
    include: Literal["content"] | None = None


ReasonName = Literal["attempts_exhausted", "expired"]


class LettersQuery(PageQuery):
    """Which dead letters."""

    channel: Name | None = None
    reason: ReasonName | None = None
    recipient: Name | None = None


class PurgeQuery(Asked):
    """Which dead letters are to be purged; without a filter only with `all=true`."""

    channel: Name | None = None
    reason: ReasonName | None = None
    recipient: Name | None = None
    all: bool = False


class ReplayBody(Taken):
    """Which dead letters are to be replayed; without a filter all."""

    channel: Name | None = None
    reason: ReasonName | None = None
    recipient: Name | None = None


class KeyBody(Taken):
    """A key to be made. No channels: it is for all of them."""

    name: Name
    scopes: Annotated[list[ScopeName], Field(min_length=1)] = Field(default_factory=_sending)
    channels: Annotated[list[Name], Field(max_length=1_000)] = Field(default_factory=list)
    expires_in: KeyLife | None = None


class RotateBody(Taken):
    """How long the earlier key still works, and how long the new one will; both in seconds."""

    overlap: Annotated[int, Field(ge=0, le=MAX_KEY_LIFE)] = OVERLAP
    expires_in: KeyLife | None = None


class DisconnectBody(Taken):
    """Whether the client is to come back (4001) or not (4403), and what it is told."""

    code: Literal[4001, 4403] = 4403
    reason: Reason | None = None


class AdminChannelAnswer(Given):
    """A channel, with everything that holds for it; `ignored` are fields that say nothing here yet."""

    name: Name
    spec: Annotated[dict[str, Any], CHANNEL_SPEC]
    ignored: list[str]
    version: str


class AdminChannelsAnswer(Given):
    """Channels by name."""

    items: list[AdminChannelAnswer]
    next: str | None


class KeyAnswer(Given):
    """A key; its secret is never told again."""

    id: KeyId
    name: Name
    scopes: list[ScopeName]
    channels: list[Name]
    created_at: Time
    expires_at: Time | None
    revoked_at: Time | None
    last_used_at: Time | None


class IssuedKeyAnswer(KeyAnswer):
    """A new key with its text, this once."""

    key: str


class RotatedKeyAnswer(IssuedKeyAnswer):
    """A new key, and those in whose place it stands, with the time of their end."""

    ending: list[KeyAnswer]


class KeysAnswer(Given):
    """Keys, oldest first."""

    items: list[KeyAnswer]
    next: str | None


class ConnectionAnswer(Given):
    """An open connection."""

    connection: Uuid
    user: Name
    device: Name | None
    platform: str
    since: Time
    node: str
    transport: Literal["websocket", "http"]
    address: str | None
    unsent_bytes: Number


class ConnectionsAnswer(Given):
    """Connections, oldest first."""

    items: list[ConnectionAnswer]
    next: str | None


class ErasureAnswer(Given):
    """How far an erasure has come: `purged` messages have lost their content."""

    user: Name
    state: Literal["messages", "scheduled", "rows", "files", "done"]
    purged: Number
    requested_at: Time
    updated_at: Time


class PositionsAnswer(Given):
    """A position of each source."""

    e: Position
    s: Position
    be: Position
    bs: Position
    r: Position


class DeviceAnswer(Given):
    """A device: where it began, what it has acknowledged, when that last moved."""

    id: Name
    platform: str
    seen_at: Time
    start: PositionsAnswer
    acked: PositionsAnswer


class UserAnswer(Given):
    """What there is of a user."""

    user: Name
    devices: list[DeviceAnswer]
    head: PositionsAnswer
    floor: PositionsAnswer
    conversations: Number
    unread: Number
    connections: Number
    subscriptions: list[Name]
    blocks: Number
    erasure: ErasureAnswer | None


class FoundMessageAnswer(Given):
    """A message; with `content` only when it was asked for."""

    id: Uuid
    conversation_id: Uuid
    kind: Literal["chat", "notification"]
    channel: Name
    sender: UserSender | BackendSender
    seq: Position
    client_id: str | None
    gone: Literal["expired", "deleted", "purged"] | None
    reply_to: Uuid | None
    thread_id: Uuid | None
    priority: Literal["urgent", "high", "normal", "low"]
    created_at: Time
    expires_at: Time | None
    edited_at: Time | None
    content: Text | Json | None = None


class FoundMessagesAnswer(Given):
    """What a bounded search found; there may be none on a page that has a next one."""

    items: list[FoundMessageAnswer]
    next: str | None


class DeadLetterAnswer(Given):
    """A message that has failed for one recipient."""

    id: Uuid
    message_id: Uuid
    recipient: Name
    channel: Name
    reason: ReasonName
    attempts: int
    failed_at: Time


class DeadLettersAnswer(Given):
    """Dead letters, newest first; there may be none on a page that has a next one."""

    items: list[DeadLetterAnswer]
    next: str | None


class PurgedAnswer(Given):
    """How many were purged. When `more` is true, others may fit: call again."""

    purged: int
    more: bool


class ReplayAnswer(Given):
    """How far a replay has come: each of the `matched` letters is replayed or skipped."""

    id: Uuid
    state: Literal["running", "done"]
    channel: Name | None
    reason: ReasonName | None
    recipient: Name | None
    matched: int
    replayed: int
    skipped: int
    created_at: Time
    updated_at: Time


class AuditEntryAnswer(Given):
    """What an administrator did."""

    id: Uuid
    at: Time
    actor: str
    action: str
    target: str
    details: dict[str, Any]


class AuditAnswer(Given):
    """The log, newest first."""

    items: list[AuditEntryAnswer]
    next: str | None


class CountAnswer(Given):
    """So many, or `value` and more when `is_least`."""

    value: Number
    is_least: bool


class StatsAnswer(Given):
    """What is cheap to tell: of this process since its start, and of the database."""

    version: str
    schema_version: str
    epoch: str
    uptime_seconds: Number
    connections: Number
    messages_accepted: Number
    events_delivered: Number
    database_bytes: Number
    counts: dict[str, CountAnswer]
