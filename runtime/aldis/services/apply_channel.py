"""Declaring a channel from the document that the custom resource would hold: same names, same enums, one schema.

Fields that the resource knows and this runtime does not honour yet are accepted and named in the answer, so that the
caller can be told; fields that nobody knows are refused with their path.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from aldis.domain.audit import CLI, Action
from aldis.domain.channels import CHAT, Audience, Channel, ChannelType, ChatPolicy, History, WhoMayChat
from aldis.domain.errors import Rejected
from aldis.domain.ids import check_name
from aldis.domain.retry import RetryPolicy
from aldis.domain.streams import Priority
from aldis.ports.clock import Clock
from aldis.ports.store import Store
from aldis.services.audience import open_channel
from aldis.services.channel_spec import spec_of, version_of

API_GROUP = "aldis.dev/"
MAX_DISPLAY_NAME = 200  # characters
MAX_NUMBER = 2**31 - 1
MAX_ATTEMPTS = 50
MAX_AGENTS = 1_000

# In Python `$` also matches before a last line break, which is no part of a name.
END = r"$(?!\n)"
Duration = Annotated[
    str,
    msgspec.Meta(
        pattern=rf"^([0-9]{{1,9}}(ms|s|m|h))+{END}", max_length=40, examples=["24h", "1h30m"],
    ),
]  # fmt: skip
AgentName = Annotated[str, msgspec.Meta(pattern=rf"^[A-Za-z0-9._:@-]{{0,128}}\*?{END}", min_length=1, max_length=129)]
Count = Annotated[int, msgspec.Meta(ge=1, le=MAX_NUMBER)]
NotUsedYet = Annotated[Any, msgspec.Meta(description="Accepted, and without effect yet.")]
Result = Literal["created", "updated", "unchanged"]
T = TypeVar("T")
_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}
_MAX_DURATION_MS = 10 * 365 * 24 * 3_600_000  # ten years: beyond it a message simply does not expire
MAX_BACKOFF_MS = 24 * 3_600_000
NOT_USED_YET = (
    "clusterRef",
    "retention",
    "media",
    "push",
    "webhook",
    "credentials",
    "deletionPolicy",
)


def said(words: str) -> msgspec.Meta:
    """What a field is for, for the readers of the schema."""
    return msgspec.Meta(description=words)


class Backoff(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """When a recipient who does not acknowledge is rung again."""

    initial: Annotated[Duration | None, said("Until the first ring, from 1s to 24h: 5s unless given.")] = None
    factor: Annotated[
        Annotated[float, msgspec.Meta(ge=1, le=10)] | None,
        said("Each later wait is random, up to so many times longer: 2 unless given."),
    ] = None
    max: Annotated[Duration | None, said("The longest wait, not below `initial`: 10m unless given.")] = None


class Delivery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """How messages are delivered."""

    priority: Annotated[Priority, said("Of notifications that name none.")] = Priority.NORMAL
    time_to_live: Annotated[
        Duration | None, said("After which they expire, from 1s to ten years; never unless given.")
    ] = None
    max_attempts: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=MAX_ATTEMPTS)] | None,
        said("How often a recipient is rung before the message has `failed` for him: 8 unless given."),
    ] = None
    backoff: Annotated[Backoff, said("When a recipient who does not acknowledge is rung again.")] = Backoff()


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What may be sent."""

    messages_per_second: Annotated[Count | None, said("Of what backends send into it, all together.")] = None
    max_content_bytes: Annotated[Count | None, said("Of a notification's content, as JSON.")] = None


class Chat(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Which two users may write to each other."""

    who: Annotated[
        WhoMayChat,
        said(
            "`Anyone`; `Agents`, if one of the two is an agent; `Existing`, where there is a conversation already; "
            "`Nobody`."
        ),
    ] = WhoMayChat.ANYONE
    agents: Annotated[
        tuple[AgentName, ...],
        msgspec.Meta(
            max_length=MAX_AGENTS,
            description="With `who: Agents` only: user ids, or beginnings of them ending in `*`.",
            examples=[["support:*"]],
        ),
    ] = ()


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A channel's policy, as it stands in its custom resource."""

    type: Annotated[ChannelType, said("What flows through it. It cannot change; the channel `chat` is of type `Chat`.")]
    display_name: Annotated[str, msgspec.Meta(max_length=MAX_DISPLAY_NAME), said("A name for people.")] = ""
    delivery: Annotated[Delivery, said("How messages are delivered.")] = Delivery()
    limits: Annotated[Limits, said("What may be sent.")] = Limits()
    cluster_ref: NotUsedYet = None
    audience: Annotated[
        Audience | None,
        said("Of type `Broadcast` only, and it cannot change: who hears it. `Subscribers` unless given."),
    ] = None
    history: Annotated[
        History | None,
        said("Of type `Broadcast` only: whether those who join later see what is older. `Visible` unless given."),
    ] = None
    chat: Annotated[Chat | None, said("Of type `Chat` only: which two users may write to each other.")] = None
    retention: NotUsedYet = None
    media: NotUsedYet = None
    push: NotUsedYet = None
    webhook: NotUsedYet = None
    credentials: NotUsedYet = None
    deletion_policy: NotUsedYet = None


class Metadata(msgspec.Struct, frozen=True):
    """`metadata`; what else Kubernetes keeps there is not ours to judge."""

    name: str


class Resource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The whole custom resource."""

    api_version: str
    kind: Literal["Channel"]
    metadata: Metadata
    spec: dict[str, Any]
    status: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelDocument:
    """A channel, and the fields of its document that say nothing here yet."""

    channel: Channel
    ignored: tuple[str, ...] = ()
    result: Result = "unchanged"


async def apply_channel(
    document: object,
    *,
    name: str | None = None,
    actor: str = CLI,
    match: str | None = None,
    store: Store,
    clock: Clock,
) -> ChannelDocument:
    """Check and store a channel; applying the same document again changes nothing. Its type cannot change.

    `match` is the version that is to be changed, `*` for any; None does not ask.
    """
    parsed = parse_channel(document, name=name)
    wanted, now = parsed.channel, clock.now_ms()
    async with store.begin() as transaction:
        kept = await transaction.kept_channel(wanted.name)
        present = kept.channel if kept is not None and not kept.is_deleted else None
        check_version(present, match)
        _check_stays(kept.channel if kept is not None else wanted, wanted)
        if present == wanted:
            return parsed
        await transaction.put_channel(wanted, now)
        if kept is None and wanted.type is ChannelType.BROADCAST:
            await open_channel(wanted, transaction)
        details = {"spec": spec_of(wanted), "version": version_of(wanted)}
        await transaction.put_audit(actor, Action.CHANNEL_APPLY, wanted.name, details, now)
    return replace(parsed, result="created" if present is None else "updated")


def check_version(present: Channel | None, match: str | None) -> None:
    """Raise `Rejected("precondition_failed")` unless what is there is what the caller has seen."""
    if match is None:
        return
    if present is None or match not in {"*", version_of(present)}:
        raise Rejected("precondition_failed", "the channel is not in the version of If-Match", field="If-Match")


def _check_stays(kept: Channel, wanted: Channel) -> None:
    """Refuse to change what cannot change, also not by deleting the channel: its conversations are still there."""
    if kept.type != wanted.type:
        raise Rejected("conflict", f"channel {kept.name} is of type {kept.type}; a type cannot change", field="type")
    if kept.audience != wanted.audience:
        raise Rejected(
            "conflict", f"channel {kept.name} is for {kept.audience}; an audience cannot change", field="audience"
        )


def parse_channel(document: object, *, name: str | None = None) -> ChannelDocument:
    """Read a `spec` (its name given beside it), or a whole resource; raises `Rejected` with the path."""
    if isinstance(document, Mapping) and "spec" in document:
        resource = _convert(document, Resource, "")
        if not resource.api_version.startswith(API_GROUP):
            raise Rejected("bad_request", f"apiVersion must be of the group {API_GROUP[:-1]}", field="apiVersion")
        if name is not None and name != resource.metadata.name:
            raise Rejected("bad_request", f"this is the resource of another channel than {name}", field="metadata.name")
        return _parse_spec(resource.spec, resource.metadata.name, "spec.")
    if name is None:
        raise Rejected("bad_request", "give the whole resource, or a name beside its spec", field="metadata.name")
    return _parse_spec(document, name, "")


def _parse_spec(document: object, name: str, at: str) -> ChannelDocument:
    spec = _convert(document, Spec, at)
    check_name(name, "name")
    if name == CHAT and spec.type != ChannelType.CHAT:
        raise Rejected("conflict", f"{CHAT} is the channel that users chat in: its type is Chat", field=f"{at}type")
    _check_fits(spec, at)
    channel = Channel(
        name=name,
        type=spec.type,
        display_name=spec.display_name,
        priority=spec.delivery.priority,
        time_to_live_ms=_time_to_live_ms(spec.delivery.time_to_live, f"{at}delivery.timeToLive"),
        max_content_bytes=spec.limits.max_content_bytes,
        messages_per_second=spec.limits.messages_per_second,
        retry=_retry(spec.delivery, f"{at}delivery"),
        audience=spec.audience or Audience.SUBSCRIBERS,
        history=spec.history or History.VISIBLE,
        chat=ChatPolicy(who=spec.chat.who, agents=spec.chat.agents) if spec.chat is not None else ChatPolicy(),
    )
    assert isinstance(document, Mapping)
    return ChannelDocument(channel=channel, ignored=tuple(path for path in NOT_USED_YET if _has(document, path)))


def _check_fits(spec: Spec, at: str) -> None:
    """Refuse what says nothing for a channel of this type."""
    only = {
        "audience": (spec.audience, ChannelType.BROADCAST),
        "history": (spec.history, ChannelType.BROADCAST),
        "chat": (spec.chat, ChannelType.CHAT),
    }
    for field, (value, type_) in only.items():
        if value is not None and spec.type is not type_:
            raise Rejected("bad_request", f"{at}{field} is for channels of type {type_} only", field=f"{at}{field}")
    if spec.chat is not None and spec.chat.agents and spec.chat.who is not WhoMayChat.AGENTS:
        raise Rejected("bad_request", f"{at}chat.agents needs who: Agents", field=f"{at}chat.agents")


def _retry(delivery: Delivery, at: str) -> RetryPolicy:
    default, backoff = RetryPolicy(), delivery.backoff
    initial = _backoff_ms(backoff.initial, f"{at}.backoff.initial") or default.initial_ms
    longest = _backoff_ms(backoff.max, f"{at}.backoff.max") or max(default.max_ms, initial)
    if longest < initial:
        raise Rejected("bad_request", f"{at}.backoff.max must not be below its initial", field=f"{at}.backoff.max")
    return RetryPolicy(
        initial_ms=initial,
        factor=backoff.factor if backoff.factor is not None else default.factor,
        max_ms=longest,
        max_attempts=delivery.max_attempts or default.max_attempts,
    )


def _backoff_ms(text: str | None, field: str) -> int | None:
    if text is None:
        return None
    duration = duration_ms(text)
    if not _UNITS_MS["s"] <= duration <= MAX_BACKOFF_MS:
        raise Rejected("bad_request", f"{field} must be between 1s and 24h", field=field)
    return duration


def _time_to_live_ms(text: str | None, field: str) -> int | None:
    if text is None:
        return None
    duration = duration_ms(text)
    if not _UNITS_MS["s"] <= duration <= _MAX_DURATION_MS:
        raise Rejected("bad_request", f"{field} must be between 1s and ten years", field=field)
    return duration


def duration_ms(text: str) -> int:
    """The milliseconds of a duration as Kubernetes writes it: `24h`, `1h30m`, `500ms`."""
    return sum(int(number) * _UNITS_MS[unit] for number, unit in re.findall(r"([0-9]+)(ms|s|m|h)", text))


def _has(document: Mapping[str, Any], path: str) -> bool:
    """Whether `path` holds anything; an empty value says nothing that could be ignored."""
    value: Any = document
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return False
        value = value.get(part)
    return value not in (None, {}, [], "")


_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>.*)`")
_MISSING = re.compile(r"Object missing required field `(?P<field>.*)`")
_PLACE = re.compile(r" - at `\$\.?(?P<path>.*)`$")


def _convert(document: object, shape: type[T], at: str) -> T:
    try:
        return msgspec.convert(document, shape)
    except msgspec.ValidationError as error:
        raise _refusal(str(error), at) from None


def _refusal(words: str, at: str) -> Rejected:
    place = _PLACE.search(words)
    path = f"{at}{place['path'] if place is not None else ''}".rstrip(".")
    said = _PLACE.sub("", words)
    if (unknown := _UNKNOWN.fullmatch(said)) is not None:
        field = f"{path}.{unknown['field']}".lstrip(".")
        return Rejected("unknown_field", f"there is no field {field}", field=field)
    if (missing := _MISSING.fullmatch(said)) is not None:
        field = f"{path}.{missing['field']}".lstrip(".")
        return Rejected("bad_request", f"{field} is required", field=field)
    return Rejected("bad_request", f"{path or 'the document'}: {said}", field=path or None)
