"""The shapes that calls for administrators take and give."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from aldis.api.schemas import DEFAULT_PAGE, Asked, Given, Limit, MessageSender, Name, PageCursor, Taken, Uuid
from aldis.services.issue_key import OVERLAP

Words = Annotated[str, StringConstraints(min_length=1, max_length=200)]
# It goes into a close frame, whose reason has at most 123 bytes.
Reason = Annotated[str, StringConstraints(pattern=r"^[ -~]{1,100}$")]


MAX_KEY_LIFE = 10 * 366 * 24 * 3600  # seconds: ten years
KeyLife = Annotated[int, Field(ge=1, le=MAX_KEY_LIFE)]
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

    name: str
    spec: dict[str, Any]
    ignored: list[str]
    version: str


class AdminChannelsAnswer(Given):
    """Channels by name."""

    items: list[AdminChannelAnswer]
    next: str | None


class KeyAnswer(Given):
    """A key; its secret is never told again."""

    id: str
    name: str
    scopes: list[str]
    channels: list[str]
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None


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

    connection: str
    user: str
    device: str | None
    platform: str
    since: str
    node: str
    transport: str
    address: str | None
    unsent_bytes: int


class ConnectionsAnswer(Given):
    """Connections, oldest first."""

    items: list[ConnectionAnswer]
    next: str | None


class ErasureAnswer(Given):
    """How far an erasure has come: `purged` messages have lost their content."""

    user: str
    state: Literal["messages", "scheduled", "rows", "files", "done"]
    purged: int
    requested_at: str
    updated_at: str


class PositionsAnswer(Given):
    """A position of each source."""

    e: int
    s: int
    be: int
    bs: int
    r: int


class DeviceAnswer(Given):
    """A device: where it began, what it has acknowledged, when that last moved."""

    id: str
    platform: str
    seen_at: str
    start: PositionsAnswer
    acked: PositionsAnswer


class UserAnswer(Given):
    """What there is of a user."""

    user: str
    devices: list[DeviceAnswer]
    head: PositionsAnswer
    floor: PositionsAnswer
    conversations: int
    unread: int
    connections: int
    subscriptions: list[str]
    blocks: int
    erasure: ErasureAnswer | None


class FoundMessageAnswer(Given):
    """A message; with `content` only when it was asked for."""

    id: str
    conversation_id: str
    kind: Literal["chat", "notification"]
    channel: str
    sender: MessageSender
    seq: int
    client_id: str | None
    gone: Literal["expired", "deleted", "purged"] | None
    reply_to: str | None
    thread_id: str | None
    priority: Literal["urgent", "high", "normal", "low"]
    created_at: str
    expires_at: str | None
    edited_at: str | None
    content: dict[str, Any] | None = None


class FoundMessagesAnswer(Given):
    """What a bounded search found; there may be none on a page that has a next one."""

    items: list[FoundMessageAnswer]
    next: str | None


class DeadLetterAnswer(Given):
    """A message that has failed for one recipient."""

    id: str
    message_id: str
    recipient: str
    channel: str
    reason: ReasonName
    attempts: int
    failed_at: str


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

    id: str
    state: Literal["running", "done"]
    channel: str | None
    reason: ReasonName | None
    recipient: str | None
    matched: int
    replayed: int
    skipped: int
    created_at: str
    updated_at: str


class AuditEntryAnswer(Given):
    """What an administrator did."""

    id: str
    at: str
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

    value: int
    is_least: bool


class StatsAnswer(Given):
    """What is cheap to tell: of this process since its start, and of the database."""

    version: str
    schema_version: str
    epoch: str
    uptime_seconds: int
    connections: int
    messages_accepted: int
    events_delivered: int
    database_bytes: int
    counts: dict[str, CountAnswer]
