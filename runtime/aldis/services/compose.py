"""Compose messages: who may send what to whom, decided before anything is stored.

What needs the database's own view (membership, one-way conversations, replies) is checked again by the committer.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from aldis.domain.callers import BackendCaller, Caller, Scope, UserCaller
from aldis.domain.channels import CHAT, DEFAULT_CHAT, Audience, Channel, ChannelType
from aldis.domain.content import check_content_size
from aldis.domain.errors import Rejected
from aldis.domain.ids import (
    ConversationId,
    MessageId,
    UserId,
    broadcast_conversation_id,
    check_name,
    check_uuid,
    conversation_id,
    new_id,
)
from aldis.domain.messages import Kind, Sender, SendMessage
from aldis.domain.streams import Priority

MAX_CLIENT_ID = 128  # characters
MAX_EXPIRES_IN = 366 * 24 * 3600  # seconds
_CLIENT_ID = re.compile(rf"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{{1,{MAX_CLIENT_ID}}}")
ChannelLookup = Callable[[str], Awaitable[Channel | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A send as it was asked for: exactly one of the `to_` fields; `content` is checked JSON; `expires_in` in seconds.

    `send_at` is Unix milliseconds, None for now. Scheduled sends are kept in this form: see `forget_drafts`.
    """

    content: bytes
    to_user: str | None = None
    to_users: tuple[str, ...] | None = None
    to_conversation: str | None = None
    to_channel: str | None = None
    kind: Kind | None = None
    channel: str | None = None
    from_user: str | None = None
    priority: Priority | None = None
    expires_in: int | None = None
    reply_to: str | None = None
    client_id: str | None = None
    request_key: str | None = None
    fingerprint: str | None = None
    send_at: int | None = None


async def compose(draft: Draft, caller: Caller, *, store_channel: ChannelLookup, now_ms: int) -> list[SendMessage]:
    """The messages of a draft, one a recipient. Raises `Rejected` with the field that this caller may not set."""
    if isinstance(caller, UserCaller):
        check_user_draft(draft)
        if draft.channel not in {None, CHAT}:
            await _channel(draft.channel or CHAT, ChannelType.CHAT, store_channel)
        return [chat(draft, caller.user, now_ms)]
    if draft.from_user is not None:
        caller.check_scope(Scope.SEND_AS)
        if draft.kind is Kind.NOTIFICATION or draft.to_users is not None or draft.to_channel is not None:
            raise Rejected("forbidden_field", "a message from a user is a chat with one other", field="from.user")
        name = draft.channel or CHAT
        is_named = draft.channel is not None or draft.to_conversation is None  # else the conversation says which
        if is_named and not caller.hears(name):
            raise Rejected("forbidden", f"this key is not for the channel {name}", field="channel")
        if name != CHAT:
            await _channel(name, ChannelType.CHAT, store_channel)
        command = chat(draft, UserId(check_name(draft.from_user, "from.user")), now_ms)
        return [replace(command, begins=True, own_channels=caller.channels)]
    if draft.to_channel is not None:
        return [await _broadcast(draft, caller, draft.to_channel, store_channel, now_ms)]
    return await _notifications(draft, caller, store_channel, now_ms)


def check_user_draft(draft: Draft) -> None:
    """Raise `Rejected("forbidden_field")` for what only a backend may set."""
    forbidden = {
        "to.users": draft.to_users is not None,
        "to.channel": draft.to_channel is not None,
        "kind": draft.kind is Kind.NOTIFICATION,
        "from": draft.from_user is not None,
        "priority": draft.priority is Priority.URGENT,
        "send_at": draft.send_at is not None,
    }
    for field, is_set in forbidden.items():
        if is_set:
            raise Rejected("forbidden_field", f"a user may not set {field} like this", field=field)


def chat(draft: Draft, user: UserId, now_ms: int) -> SendMessage:
    """A chat message of `user`; needs no look-up, so the socket calls it directly."""
    channel = draft.channel or CHAT
    if draft.to_conversation is not None:
        target, members = ConversationId(check_uuid(draft.to_conversation, "to.conversation")), None
    elif draft.to_user is not None:
        other = UserId(check_name(draft.to_user, "to.user"))
        if other == user:
            raise Rejected("bad_request", "a chat is with someone else", field="to.user")
        members = (user, other)
        target = conversation_id("chat", channel, members)
    else:
        raise Rejected("bad_request", "name one recipient: to.user or to.conversation", field="to")
    return _message(draft, Kind.CHAT, channel, Sender(user=user), target, members, now_ms)


async def _broadcast(
    draft: Draft, caller: BackendCaller, name: str, store_channel: ChannelLookup, now_ms: int
) -> SendMessage:
    caller.check_scope(Scope.SEND)
    if draft.kind is Kind.CHAT:
        raise Rejected("forbidden_field", "a broadcast is not a chat", field="kind")
    if draft.channel not in {None, name}:
        raise Rejected(
            "bad_request", "a broadcast is sent in the channel it goes to: leave channel out", field="channel"
        )
    if not caller.hears(name):
        raise Rejected("forbidden", f"this key is not for the channel {name}", field="to.channel")
    channel = await _channel(name, ChannelType.BROADCAST, store_channel, field="to.channel")
    if channel.max_content_bytes is not None:
        check_content_size(draft.content, channel.max_content_bytes)
    sender, target = Sender(backend=caller.name), broadcast_conversation_id(name)
    message = _message(draft, Kind.NOTIFICATION, name, sender, target, (), now_ms, default=channel)
    return replace(message, everyone=channel.audience is Audience.EVERYONE)


async def _notifications(
    draft: Draft, caller: BackendCaller, store_channel: ChannelLookup, now_ms: int
) -> list[SendMessage]:
    caller.check_scope(Scope.SEND)
    if draft.kind is Kind.CHAT:
        raise Rejected("forbidden_field", "a backend chats only as a user: set from.user", field="kind")
    if draft.to_conversation is not None:
        raise Rejected("forbidden_field", "notifications go to users of a channel", field="to.conversation")
    if draft.channel is None:
        raise Rejected("bad_request", "name the channel of the notification", field="channel")
    if not caller.hears(draft.channel):
        raise Rejected("forbidden", f"this key is not for the channel {draft.channel}", field="channel")
    channel = await _channel(draft.channel, ChannelType.NOTIFICATION, store_channel)
    if channel.max_content_bytes is not None:
        check_content_size(draft.content, channel.max_content_bytes)
    several = draft.to_users is not None
    users = draft.to_users if draft.to_users is not None else (draft.to_user,) if draft.to_user is not None else ()
    if not users:
        raise Rejected("bad_request", "name at least one recipient", field="to")
    if len(set(users)) != len(users):
        raise Rejected("bad_request", "a recipient is named twice", field="to.users")
    return [_notification(draft, caller, channel, user, several=several, now_ms=now_ms) for user in users]


def _notification(
    draft: Draft, caller: BackendCaller, channel: Channel, user: str, *, several: bool, now_ms: int
) -> SendMessage:
    recipient = UserId(check_name(user, "to.users" if several else "to.user"))
    target = conversation_id("notification", channel.name, (recipient,))
    return _message(
        draft,
        Kind.NOTIFICATION,
        channel.name,
        Sender(backend=caller.name),
        target,
        (recipient,),
        now_ms,
        default=channel,
        key_suffix=f":{recipient}" if several else "",
    )


async def _channel(name: str, type_: ChannelType, store_channel: ChannelLookup, *, field: str = "channel") -> Channel:
    return check_channel(name, await store_channel(check_name(name, field)), type_, field=field)


def check_channel(name: str, channel: Channel | None, type_: ChannelType, *, field: str = "channel") -> Channel:
    """The channel, or a `Rejected` that says why it cannot be sent into."""
    if channel is None:
        raise Rejected("unknown_channel", f"the channel {name} is not declared", field=field)
    if channel.type is not type_:
        raise Rejected("bad_request", f"{name} is a channel of type {channel.type}, not {type_}", field=field)
    return channel


def _message(
    draft: Draft,
    kind: Kind,
    channel: str,
    sender: Sender,
    target: ConversationId,
    members: tuple[UserId, ...] | None,
    now_ms: int,
    *,
    default: Channel = DEFAULT_CHAT,
    key_suffix: str = "",
) -> SendMessage:
    if draft.client_id is not None and not _CLIENT_ID.fullmatch(draft.client_id):
        raise Rejected(
            "bad_request", f"client_id must be 1-{MAX_CLIENT_ID} characters, none of control", field="client_id"
        )
    if draft.expires_in is not None and not 1 <= draft.expires_in <= MAX_EXPIRES_IN:
        raise Rejected("bad_request", f"expires_in must be 1-{MAX_EXPIRES_IN} seconds", field="expires_in")
    life = draft.expires_in * 1000 if draft.expires_in is not None else default.time_to_live_ms
    return SendMessage(
        message_id=MessageId(new_id(now_ms)),
        kind=kind,
        channel=channel,
        sender=sender,
        conversation_id=target,
        members=members,
        content=draft.content,
        priority=draft.priority or default.priority,
        client_id=draft.client_id + key_suffix if draft.client_id is not None else None,
        reply_to=MessageId(check_uuid(draft.reply_to, "reply_to")) if draft.reply_to is not None else None,
        expires_at=now_ms + life if life is not None else None,
        request_key=draft.request_key + key_suffix if draft.request_key is not None else None,
        fingerprint=draft.fingerprint,
    )
