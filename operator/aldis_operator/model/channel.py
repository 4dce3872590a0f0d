"""`Channel`: what a backend may send into, and what users chat in.

The names, enums and bounds of its `spec` are those of the runtime, which reads the same document by itself
(`aldis channel apply`); a test holds the two together. Reading a spec here is for the references in it: what is sent to
the runtime is the document as it stands.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from aldis_operator.model.shape import LocalRef, Metadata, ObjectName, SecretRef, Shape, rule, rules
from aldis_operator.model.status import ChannelStatus

MAX_NAME = 63  # a namespace and a dot may be put before it, and the runtime takes 128
NO_EFFECT = "Accepted, and without effect yet."

Duration = Annotated[str, StringConstraints(pattern=r"^([0-9]{1,9}(ms|s|m|h))+$", max_length=40)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Agent = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:@-]{0,128}\*?$", min_length=1, max_length=129)]


def _between(field: str, least: str, most: str, *, words: str) -> dict[str, str]:
    here = f"self.{field.rpartition('.')[2]}"
    return rule(
        f"!has({here}) || (duration({here}) >= duration('{least}') && duration({here}) <= duration('{most}'))",
        f"{field} must be between {words}: choose another",
    )


class Backoff(Shape):
    """When a recipient who does not acknowledge is rung again."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            _between("delivery.backoff.initial", "1s", "24h", words="1s and 24h"),
            _between("delivery.backoff.max", "1s", "24h", words="1s and 24h"),
            rule(
                "!has(self.max) || duration(self.max) >= duration(has(self.initial) ? self.initial : '5s')",
                "delivery.backoff.max must not be below delivery.backoff.initial (5s unless given): raise it",
            ),
        )
    )

    initial: Duration | None = None
    """Until the first ring, from 1s to 24h: 5s unless given."""

    factor: Annotated[float, Field(ge=1, le=10)] | None = None
    """Each later wait is random, up to so many times longer: 2 unless given."""

    max: Duration | None = None
    """The longest wait, not below `initial`: 10m unless given."""


class Delivery(Shape):
    """How messages are delivered."""

    model_config = ConfigDict(
        json_schema_extra=rules(_between("delivery.timeToLive", "1s", "87600h", words="1s and ten years (87600h)"))
    )

    priority: Literal["urgent", "high", "normal", "low"] | None = None
    """Of notifications that name none: `normal` unless given."""

    time_to_live: Duration | None = None
    """After which they expire, from 1s to ten years; never unless given."""

    max_attempts: Annotated[int, Field(ge=1, le=50)] | None = None
    """How often a recipient is rung before the message has `failed` for him: 8 unless given."""

    backoff: Backoff | None = None
    """When a recipient who does not acknowledge is rung again."""


class ChannelLimits(Shape):
    """What may be sent."""

    messages_per_second: Count | None = None
    """Of what backends send into it, all together."""

    max_content_bytes: Count | None = None
    """Of a notification's content, as JSON."""


class Chat(Shape):
    """Which two users may write to each other."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.agents) || self.agents.size() == 0 || (has(self.who) && self.who == 'Agents')",
                "chat.agents needs chat.who: Agents; set it, or take the agents away",
            )
        )
    )

    who: Literal["Anyone", "Agents", "Existing", "Nobody"] | None = None
    """`Anyone` (unless given); `Agents`, if one of the two is an agent; `Existing`, where there is a conversation
    already; `Nobody`."""

    agents: Annotated[list[Agent], Field(max_length=1000)] | None = None
    """With `who: Agents` only: user ids, or beginnings of them ending in `*`."""


class Retention(Shape):
    """How long messages are kept."""

    max_age: Duration | None = None
    """The oldest that is kept."""


class Media(Shape):
    """Attachments."""

    allowed: bool | None = None
    """Whether there may be any."""

    types: Annotated[list[Annotated[str, StringConstraints(max_length=127)]], Field(max_length=32)] | None = None
    """Media types that are taken: `image/*`."""

    max_bytes: Count | None = None
    """Of one attachment."""


class Push(Shape):
    """Waking devices that are not connected."""

    enabled: bool | None = None
    """Whether they are."""

    fallback_after: Duration | None = None
    """After how long without an acknowledgement."""

    collapse: Literal["None", "Conversation", "Channel"] | None = None
    """What stands as one on the device."""


class Webhook(Shape):
    """An address that is told what becomes of messages."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://", max_length=1024)] | None = None
    """The address."""

    secret_ref: SecretRef | None = None
    """The Secret that calls are signed with."""

    events: Annotated[list[Literal["delivered", "read", "failed"]], Field(max_length=8)] | None = None
    """What it is told."""


class Credentials(Shape):
    """A key for the backend that sends into the channel."""

    secret_name: ObjectName
    """The Secret that the key is written to."""


def _only_of(field: str, type_: str) -> dict[str, str]:
    return rule(
        f"!has(self.{field}) || self.type == '{type_}'",
        f"spec.{field} is for channels of type {type_} only: take it away",
    )


_AUDIENCE = "(has({self}.audience) ? {self}.audience : 'Subscribers')"


class ChannelSpec(Shape):
    """A channel's policy."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            _only_of("audience", "Broadcast"),
            _only_of("history", "Broadcast"),
            _only_of("chat", "Chat"),
            rule(
                f"{_AUDIENCE.format(self='self')} == {_AUDIENCE.format(self='oldSelf')}",
                "spec.audience cannot change (Subscribers unless given): put it back, or make a new channel",
            ),
            rule(
                "!has(oldSelf.clusterRef) || (has(self.clusterRef) && self.clusterRef.name == oldSelf.clusterRef.name)",
                "spec.clusterRef cannot change: put the earlier one back, or make a new channel",
            ),
        )
    )

    cluster_ref: LocalRef | None = None
    """The MessagingCluster, of the same namespace; the only one there unless given. It cannot change."""

    type: Annotated[
        Literal["Notification", "Broadcast", "Chat"],
        Field(
            json_schema_extra=rules(
                rule("self == oldSelf", "spec.type cannot change: put the earlier one back, or make a new channel")
            )
        ),
    ]
    """What flows through it. It cannot change; the channel `chat` is of type `Chat`."""

    display_name: Annotated[str, StringConstraints(max_length=200)] | None = None
    """A name for people."""

    audience: Literal["Everyone", "Subscribers"] | None = None
    """Of type `Broadcast` only, and it cannot change: who hears it. `Subscribers` unless given."""

    history: Literal["Visible", "Hidden"] | None = None
    """Of type `Broadcast` only: whether those who join later see what is older. `Visible` unless given."""

    chat: Chat | None = None
    """Of type `Chat` only: which two users may write to each other."""

    delivery: Delivery | None = None
    """How messages are delivered."""

    limits: ChannelLimits | None = None
    """What may be sent."""

    retention: Annotated[Retention | None, Field(description=NO_EFFECT)] = None
    media: Annotated[Media | None, Field(description=NO_EFFECT)] = None
    push: Annotated[Push | None, Field(description=NO_EFFECT)] = None
    webhook: Annotated[Webhook | None, Field(description=NO_EFFECT)] = None

    credentials: Credentials | None = None
    """A key for the backend that sends into the channel."""

    deletion_policy: Literal["Retain", "Delete"] | None = None
    """What becomes of the channel when this resource is deleted: `Retain` (unless given) leaves it open, with `Delete`
    it takes no more sends. What was sent stays readable either way."""


class Channel(Shape):
    """What a backend may send into, or what users chat in. The same document that `aldis channel apply` takes."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                f"self.metadata.name.size() <= {MAX_NAME}",
                f"metadata.name must have at most {MAX_NAME} characters: choose a shorter one",
            ),
            rule(
                "self.metadata.name != 'chat' || self.spec.type == 'Chat'",
                "the channel chat is the one that users chat in: its spec.type must be Chat",
            ),
        )
    )

    metadata: Metadata
    spec: ChannelSpec
    """The channel's policy."""

    status: ChannelStatus | None = None
    """What the operator has done about it."""
