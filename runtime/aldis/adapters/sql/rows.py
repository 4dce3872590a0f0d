"""Rows to values and back: the only place that knows how a column spells a field."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row

from aldis.adapters.sql import schema
from aldis.domain.callers import ApiKey, Scope
from aldis.domain.channels import Audience, Channel, ChannelType, ChatPolicy, History, WhoMayChat
from aldis.domain.cursors import Positions
from aldis.domain.devices import Device
from aldis.domain.ids import ConversationId, DeviceId, UserId
from aldis.domain.messages import Gone, Kind, Message, Sender
from aldis.domain.retry import RetryPolicy
from aldis.domain.streams import SOURCES, Priority
from aldis.ports.store import Conversation

_KINDS = {kind.value: kind for kind in Kind}
_PRIORITIES = {priority.value: priority for priority in Priority}


def to_message(row: Iterable[Any]) -> Message:
    """A message from the columns of `messages`, in the table's order.

    By place: names took a sixth of all that a device's return with twenty messages waiting costs.
    """
    (
        identifier,
        conversation_id,
        seq,
        kind,
        channel,
        sender_user,
        sender_backend,
        client_id,
        content,
        gone,
        priority,
        reply_to,
        thread_id,
        expires_at,
        edited_at,
    ) = row
    return Message(
        id=identifier,
        conversation_id=conversation_id,
        seq=seq,
        kind=_KINDS[kind],
        channel=channel,
        sender=Sender(user=sender_user, backend=sender_backend),
        content=content.encode() if content is not None else None,
        priority=_PRIORITIES[priority],
        client_id=client_id,
        gone=Gone(gone) if gone is not None else None,
        reply_to=reply_to,
        thread_id=thread_id,
        expires_at=expires_at,
        edited_at=edited_at,
    )


def from_message(message: Message) -> dict[str, Any]:
    """The row of a message."""
    return dict(zip(schema.messages.c.keys(), values_of(message), strict=True))


def values_of(message: Message) -> tuple[Any, ...]:
    """The row of a message by place, in the table's order."""
    return (
        message.id,
        message.conversation_id,
        message.seq,
        message.kind,
        message.channel,
        message.sender.user,
        message.sender.backend,
        message.client_id,
        message.content.decode() if message.content is not None else None,
        message.gone.value if message.gone is not None else None,
        message.priority,
        message.reply_to,
        message.thread_id,
        message.expires_at,
        message.edited_at,
    )


def to_conversations(
    rows: Iterable[Row[ConversationId, str, str, bool, UserId | None]],
) -> dict[ConversationId, Conversation]:
    """Conversations from rows of (id, kind, channel, whether it is a broadcast channel's, member)."""
    found: dict[ConversationId, Conversation] = {}
    for identifier, kind, channel, broadcast, user in rows:
        earlier = found.get(identifier)
        members = (*(earlier.members if earlier is not None else ()), *((user,) if user is not None else ()))
        found[identifier] = Conversation(identifier, _KINDS[kind], channel, members, bool(broadcast))
    return found


def to_device(row: Row[Any]) -> Device:
    """A device from a row of `devices`."""
    columns = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for columns by name
    return Device(
        user=UserId(row.user_id),
        id=DeviceId(row.device_id),
        platform=row.platform,
        start=Positions(**{source: columns[f"start_{source}"] for source in SOURCES}),
        acked=Positions(**{source: columns[f"acked_{source}"] for source in SOURCES}),
    )


def from_device(device: Device, seen_at: int) -> dict[str, Any]:
    """The row of a device."""
    return {
        "user_id": device.user,
        "device_id": device.id,
        "platform": device.platform,
        **{f"start_{source}": device.start.at(source) for source in SOURCES},
        **{f"acked_{source}": device.acked.at(source) for source in SOURCES},
        "seen_at": seen_at,
    }


def to_api_key(row: Row[Any]) -> ApiKey:
    """A key from a row of `api_keys`."""
    return ApiKey(
        id=row.id,
        name=row.name,
        hash=row.hash,
        scopes=frozenset(map(Scope, json.loads(row.scopes))),
        channels=frozenset(json.loads(row.channels)),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )


def from_api_key(key: ApiKey) -> dict[str, Any]:
    """The row of a key."""
    return {
        "id": key.id,
        "name": key.name,
        "hash": key.hash,
        "scopes": json.dumps(sorted(key.scopes)),
        "channels": json.dumps(sorted(key.channels)),
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
    }


def to_channel(row: Row[Any]) -> Channel:
    """A channel from a row of `channels`."""
    return Channel(
        name=row.name,
        type=ChannelType(row.type),
        display_name=row.display_name,
        priority=_PRIORITIES[row.priority],
        time_to_live_ms=row.time_to_live_ms,
        max_content_bytes=row.max_content_bytes,
        messages_per_second=row.messages_per_second,
        **_to_policy(json.loads(row.policy)),
    )


def _to_policy(policy: dict[str, Any]) -> dict[str, Any]:
    """What `policy` holds, as fields of a channel; what an older version did not write has its default."""
    chat = policy.get("chat", {})
    return {
        "retry": RetryPolicy(**policy.get("retry", {})),
        "audience": Audience(policy.get("audience", Audience.SUBSCRIBERS)),
        "history": History(policy.get("history", History.VISIBLE)),
        "chat": ChatPolicy(who=WhoMayChat(chat.get("who", WhoMayChat.ANYONE)), agents=tuple(chat.get("agents", ()))),
    }


def _from_policy(channel: Channel) -> dict[str, Any]:
    return {
        "retry": asdict(channel.retry),
        "audience": channel.audience.value,
        "history": channel.history.value,
        "chat": {"who": channel.chat.who.value, "agents": list(channel.chat.agents)},
    }


def from_channel(channel: Channel, now: int) -> dict[str, Any]:
    """The row of a channel."""
    return {
        "name": channel.name,
        "type": channel.type.value,
        "display_name": channel.display_name,
        "priority": channel.priority.value,
        "time_to_live_ms": channel.time_to_live_ms,
        "max_content_bytes": channel.max_content_bytes,
        "messages_per_second": channel.messages_per_second,
        "policy": json.dumps(_from_policy(channel)),
        "updated_at": now,
        "created_at": now,
        "deleted_at": None,
    }
