"""The shapes that HTTP takes and gives. Unknown fields are refused with their path; nothing is guessed from a type."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from aldis.contract.glossary import PLACE
from aldis.domain.errors import CODES
from aldis.domain.ids import MAX_NAME
from aldis.domain.streams import MAX_POSITION
from aldis.services.compose import MAX_CLIENT_ID, MAX_EXPIRES_IN
from aldis.services.pages import MAX_PAGE
from aldis.services.read_presence import MAX_WATCHED

DEFAULT_PAGE = 50
MAX_BATCH = 1_000  # messages of one call

Name = Annotated[str, StringConstraints(pattern=rf"^[A-Za-z0-9._:@-]{{1,{MAX_NAME}}}$")]
Uuid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
ClientId = Annotated[str, StringConstraints(pattern=rf"^[^\x00-\x1f\x7f-\x9f]{{1,{MAX_CLIENT_ID}}}$")]
RequestKey = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,255}$")]
Position = Annotated[int, Field(ge=0, le=MAX_POSITION)]
Number = Annotated[int, Field(ge=0)]
Code = Annotated[str, Field(json_schema_extra={"x-extensible-enum": list(CODES)})]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Limit = Annotated[int, Field(ge=1, le=MAX_PAGE)]
PageCursor = Annotated[str, Field(max_length=512, description="`next` of the page before.", examples=[PLACE])]
StreamCursor = Annotated[
    str, Field(max_length=512, description="From where to read; left out, from what the device acknowledged.")
]


SendTime = Annotated[str, Field(max_length=64, json_schema_extra={"format": "date-time"})]


class Taken(BaseModel):
    """What a caller sends as a body."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Asked(BaseModel):
    """What a caller asks for in a query, where everything arrives as text."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Given(BaseModel):
    """What we answer. Fields may be added."""

    model_config = ConfigDict(frozen=True)


def _describe_exactly_one(schema: dict[str, Any]) -> None:
    """What `To` checks, as JSON Schema: an object of one field, for each of them."""
    schema["oneOf"] = [
        {"type": "object", "properties": {name: given(part)}, "required": [name], "additionalProperties": False}
        for name, part in schema.pop("properties").items()
    ]
    del schema["type"], schema["additionalProperties"]


def given(schema: dict[str, Any]) -> dict[str, Any]:
    """A field's schema where it is given, and so not null."""
    variants: list[dict[str, Any]] = schema["anyOf"]
    return next(part for part in variants if part.get("type") != "null")


def _describe_at_least_one(schema: dict[str, Any]) -> None:
    """What `SettingsBody` checks, as JSON Schema."""
    schema["anyOf"] = [
        {"required": [name], "properties": {name: given(part)}} for name, part in schema["properties"].items()
    ]


class To(Taken):
    """Whom it is for: exactly one of a user, several users, a conversation, or a channel (a broadcast)."""

    model_config = ConfigDict(json_schema_extra=_describe_exactly_one)

    user: Name | None = None
    users: Annotated[list[Name], Field(min_length=1)] | None = None
    conversation: Uuid | None = None
    channel: Name | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "To":
        if sum(target is not None for target in (self.user, self.users, self.conversation, self.channel)) != 1:
            raise ValueError("give exactly one of user, users, conversation, channel")
        return self


class From(Taken):
    """The user in whose name a backend writes."""

    user: Name


class TextContent(Taken):
    """Text."""

    type: Literal["text"]
    text: Annotated[str, Field(json_schema_extra={"minLength": 1})]  # checked behind, where its bytes are counted


class JsonContent(Taken):
    """Anything JSON."""

    type: Literal["json"]
    data: Any


class SendBody(Taken):
    """A message to be sent."""

    to: To
    kind: Literal["chat", "notification"] | None = None
    channel: Name | None = None
    from_: From | None = Field(default=None, alias="from")
    content: Annotated[TextContent | JsonContent, Field(discriminator="type")]
    priority: Literal["urgent", "high", "normal", "low"] | None = None
    expires_in: Annotated[int, Field(ge=1, le=MAX_EXPIRES_IN)] | None = None
    reply_to: Uuid | None = None
    client_id: ClientId | None = None
    send_at: SendTime | None = None


class BatchItem(SendBody):
    """One of the messages of a batch; its `client_id` makes the batch repeatable."""

    client_id: ClientId


class BatchBody(Taken):
    """Messages to be sent in this order, at most a thousand."""

    messages: Annotated[list[BatchItem], Field(min_length=1, max_length=MAX_BATCH)]


class EditBody(Taken):
    """What a message is to say now."""

    content: Annotated[TextContent | JsonContent, Field(discriminator="type")]


class ReadBody(Taken):
    """All messages up to this `seq` have been read."""

    seq: Position


class AckBody(Taken):
    """The highest position received of each source."""

    e: Position | None = None
    s: Position | None = None
    be: Position | None = None
    bs: Position | None = None
    r: Position | None = None


class StatusQuery(Asked):
    """A page of recipients."""

    cursor: PageCursor | None = None
    limit: Limit = DEFAULT_PAGE


class PageQuery(Asked):
    """A page of a list."""

    cursor: PageCursor | None = None
    limit: Limit = DEFAULT_PAGE


class PresenceQuery(Asked):
    """Whom it is about."""

    user: Annotated[list[Name], Field(min_length=1, max_length=MAX_WATCHED)]


class SettingsBody(Taken):
    """How I want a conversation; what is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra=_describe_at_least_one)

    muted: bool | None = None
    archived: bool | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "SettingsBody":
        if self.muted is None and self.archived is None:
            raise ValueError("give muted, archived, or both")
        return self


class ConversationsQuery(Asked):
    """A page of my conversations."""

    kind: Literal["chat", "notification"] | None = None
    archived: bool | None = None
    cursor: PageCursor | None = None
    limit: Limit = DEFAULT_PAGE


class HistoryQuery(Asked):
    """A page of a conversation, or of one thread in it: at most one of `before`, `after` and `cursor`."""

    thread: Uuid | None = None
    before: Position | None = None
    after: Position | None = None
    cursor: PageCursor | None = None
    limit: Limit = DEFAULT_PAGE

    @model_validator(mode="after")
    def _is_one(self) -> "HistoryQuery":
        if sum(place is not None for place in (self.before, self.after, self.cursor)) > 1:
            raise ValueError("give at most one of before, after, cursor")
        return self


class AckQuery(Asked):
    """Whose acknowledgement it is."""

    device: Name


class EventsQuery(Asked):
    """From where to read, and as which device; `Last-Event-ID` goes before `cursor`."""

    device: Name | None = None
    cursor: StreamCursor | None = None


class SyncQuery(Asked):
    """The same, and how many seconds to wait when there is nothing."""

    device: Name | None = None
    cursor: StreamCursor | None = None
    wait: Annotated[float, Field(ge=0, le=60)] = 25


class Problem(Given):
    """RFC 9457: why a call failed. `code` is stable; `field` is the path of what is wrong."""

    type: str
    title: str
    status: int
    detail: str
    code: Code
    field: str | None
    retryable: bool
    retry_after_ms: Number | None
    remedy: str
    request_id: str | None = None


class ErrorOfOne(Given):
    """Why one of several failed."""

    code: Code
    message: str
    field: str | None
    retryable: bool
    retry_after_ms: Number | None


class SentOne(Given):
    """A message that is committed."""

    message_id: Uuid
    conversation_id: Uuid
    seq: Position
    created_at: Time
    duplicate: bool


class SentToRecipient(SentOne):
    """The message to one of several."""

    recipient: Name


class RefusedRecipient(Given):
    """One of several that failed."""

    recipient: Name
    error: ErrorOfOne


class SentSeveral(Given):
    """A send to `users`: what became of each, in their order."""

    messages: list[SentToRecipient | RefusedRecipient]


class SentBroadcast(Given):
    """A broadcast that is committed."""

    message_id: Uuid
    channel: Name
    seq: Position
    created_at: Time
    duplicate: bool


class SentOfScheduled(Given):
    """A message that was sent when it was due."""

    message_id: Uuid
    conversation_id: Uuid
    seq: Position
    created_at: Time


class ScheduledReceipt(Given):
    """A send that waits for its time; repeated later, it also tells what became of it."""

    scheduled_id: Uuid
    send_at: Time
    duplicate: bool
    state: Literal["waiting", "failed", "sent", "cancelled"]
    messages: list[SentOfScheduled] | None = None


class ScheduledReason(Given):
    """Why a send was refused when it was due."""

    code: str
    message: str
    field: str | None


class ScheduledTo(Given):
    """To whom it goes: one of these."""

    user: str | None = None
    users: list[str] | None = None
    conversation: str | None = None
    channel: str | None = None


class ScheduledFrom(Given):
    """In whose name."""

    user: str


class ScheduledAnswer(Given):
    """A scheduled send as its backend sees it. Of one that was sent only the messages are left."""

    scheduled_id: Uuid
    send_at: Time
    state: Literal["waiting", "failed", "sent"]
    reason: ScheduledReason | None
    to: ScheduledTo | None
    channel: str | None
    from_: ScheduledFrom | None = Field(default=None, alias="from")
    client_id: str | None
    created_at: Time | None
    messages: list[SentOfScheduled] | None = None


class ScheduledAnswers(Given):
    """Soonest first."""

    items: list[ScheduledAnswer]
    next: str | None


class BatchPlace(Given):
    """Which message of a batch it was, and the status that it would have had alone."""

    index: int
    status: int


class BatchSentOne(SentOne, BatchPlace):
    """A message of a batch that is committed."""


class BatchSentSeveral(SentSeveral, BatchPlace):
    """A message of a batch to several recipients."""


class BatchSentBroadcast(SentBroadcast, BatchPlace):
    """A message of a batch to all who hear a channel."""


class BatchScheduled(ScheduledReceipt, BatchPlace):
    """A message of a batch that waits for its time."""


class BatchRefused(BatchPlace):
    """A message of a batch that was refused; the `field` of its error begins with its place."""

    error: ErrorOfOne


class BatchAnswer(Given):
    """One result for each message, in their order."""

    results: list[BatchSentOne | BatchSentSeveral | BatchSentBroadcast | BatchScheduled | BatchRefused]


class UserSender(Given):
    """A user who wrote."""

    user: Name


class BackendSender(Given):
    """A backend that wrote."""

    backend: str


class Text(Given):
    """Text."""

    type: Literal["text"]
    text: str


class Json(Given):
    """Anything JSON, at most 32 deep."""

    type: Literal["json"]
    data: Any


class MessageAnswer(Given):
    """A message as it is now; without its content when that is `gone`."""

    id: Uuid
    conversation_id: Uuid
    kind: Literal["chat", "notification"]
    channel: Name
    sender: UserSender | BackendSender
    seq: Position
    client_id: str | None
    content: Text | Json | None
    gone: Literal["expired", "deleted", "purged"] | None
    reply_to: Uuid | None
    thread_id: Uuid | None
    priority: Literal["urgent", "high", "normal", "low"]
    created_at: Time
    expires_at: Time | None
    edited_at: Time | None


class RecipientAnswer(Given):
    """How far a message has come for one recipient."""

    user: Name
    status: Literal["pending", "sent", "delivered", "read", "failed"]
    sent_at: Time | None
    delivered_at: Time | None
    read_at: Time | None
    failed_at: Time | None
    reason: str | None


class RecipientsPage(Given):
    """Recipients by name."""

    items: list[RecipientAnswer]
    next: str | None


class CountsAnswer(Given):
    """How many were to hear a broadcast, on how many users' devices it has come, how many have read it."""

    audience: Number
    delivered: Number
    read: Number


class MessageStatusAnswer(MessageAnswer):
    """A message with a page of its recipients; for a broadcast, `counts` instead (backends only)."""

    recipients: RecipientsPage
    counts: CountsAnswer | None = None


class MilestoneAnswer(Given):
    """Something that happened to a message: an attempt has its number and outcome, a failure its reason."""

    type: Literal["accepted", "stored", "queued", "attempt", "sent", "delivered", "read", "failed"]
    at: Time
    user: str | None
    device: str | None
    attempt: int | None
    outcome: str | None
    reason: str | None


class Timeline(Given):
    """All that happened, in order of time."""

    items: list[MilestoneAnswer]
    next: str | None


class ConversationAnswer(Given):
    """A conversation as the caller sees it."""

    id: Uuid
    kind: Literal["chat", "notification"]
    channel: Name
    members: list[Name]
    last_message: MessageAnswer | None
    unread: Number
    read_seq: Position
    head_seq: Position
    muted: bool
    archived: bool


class ConversationsAnswer(Given):
    """Newest first; the first page has the cursor with which a stream goes on from this list."""

    items: list[ConversationAnswer]
    next: str | None
    cursor: str | None = None


class SettingsAnswer(Given):
    """How the caller has set a conversation."""

    conversation_id: Uuid
    muted: bool
    archived: bool


class BlockAnswer(Given):
    """Somebody whom the caller has blocked, and since when."""

    user: Name
    blocked_at: Time


class BlocksAnswer(Given):
    """By name."""

    items: list[BlockAnswer]
    next: str | None


class UserPresence(Given):
    """Whether a user is connected, as far as the caller may know."""

    user: Name
    online: bool


class PresenceAnswer(Given):
    """In the order in which they were asked for, each once."""

    users: list[UserPresence]


class HistoryAnswer(Given):
    """Messages along `seq`."""

    items: list[MessageAnswer]
    next: str | None


class ReadAnswer(Given):
    """What is still unread in the conversation, and in all."""

    unread: Number
    badge: Number


class SubscriptionAnswer(Given):
    """A broadcast channel that the caller hears, and since when."""

    channel: Name
    subscribed_at: Time


class SubscriptionsAnswer(Given):
    """By channel."""

    items: list[SubscriptionAnswer]
    next: str | None


class SubscriberAnswer(Given):
    """A user who hears a channel, and since when."""

    user: Name
    subscribed_at: Time


class SubscribersAnswer(Given):
    """By user."""

    items: list[SubscriberAnswer]
    next: str | None


class SyncAnswer(Given):
    """Frames as a socket would have got them, and the cursor to ask with next."""

    frames: list[dict[str, Any]]
    cursor: str
    recovered: bool


class BadgeAnswer(Given):
    """All that is unread."""

    badge: Number


class ProbeAnswer(Given):
    """What a probe is told."""

    status: str


class DependencyAnswer(Given):
    """How long ago a dependency last answered well."""

    seconds_since_success: float | None


class ReadinessAnswer(ProbeAnswer):
    """Whether it may have traffic, or why not; and how the dependencies are."""

    dependencies: dict[str, DependencyAnswer]
