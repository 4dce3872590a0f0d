"""A channel as the `spec` that would declare it, with everything that holds written out; and its version.

`parse_channel(spec_of(channel), name=channel.name).channel == channel` for every channel.
"""

import hashlib
from typing import Any

import msgspec

from aldis.domain.channels import Channel, ChannelType

_UNITS = (("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))
VERSION_CHARACTERS = 16  # 64 bits: enough to tell the versions of one channel apart


def spec_of(channel: Channel) -> dict[str, Any]:
    """What holds for the channel, under the names of its resource."""
    retry = channel.retry
    spec: dict[str, Any] = {
        "type": channel.type.value,
        "displayName": channel.display_name,
        "delivery": {
            "priority": channel.priority.value,
            "timeToLive": duration_text(channel.time_to_live_ms) if channel.time_to_live_ms is not None else None,
            "maxAttempts": retry.max_attempts,
            "backoff": {
                "initial": duration_text(retry.initial_ms),
                "factor": retry.factor,
                "max": duration_text(retry.max_ms),
            },
        },
        "limits": {
            "messagesPerSecond": channel.messages_per_second,
            "maxContentBytes": channel.max_content_bytes,
        },
    }
    return spec | _of_type(channel)


def _of_type(channel: Channel) -> dict[str, Any]:
    """What only channels of this type have."""
    match channel.type:
        case ChannelType.BROADCAST:
            return {"audience": channel.audience.value, "history": channel.history.value}
        case ChannelType.CHAT:
            return {"chat": {"who": channel.chat.who.value, "agents": list(channel.chat.agents)}}
        case ChannelType.NOTIFICATION:
            return {}


def duration_text(ms: int) -> str:
    """A duration as Kubernetes writes it: `1h30m`."""
    parts: list[str] = []
    for unit, size in _UNITS:
        count, ms = divmod(ms, size)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts) or "0s"


def version_of(channel: Channel) -> str:
    """What tells two policies of a channel apart; the same policy has the same version everywhere."""
    canonical = msgspec.json.encode([channel.name, spec_of(channel)])
    return hashlib.sha256(canonical).hexdigest()[:VERSION_CHARACTERS]
