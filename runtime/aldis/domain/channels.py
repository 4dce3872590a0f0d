"""Channels: what a backend may send into, and what users chat in. The shape of the `Channel` resource's spec."""

from dataclasses import dataclass
from enum import StrEnum

from aldis.domain.streams import Priority

CHAT = "chat"  # the channel that users chat in when they name none; always there


class ChannelType(StrEnum):
    """What flows through a channel."""

    NOTIFICATION = "Notification"
    BROADCAST = "Broadcast"
    CHAT = "Chat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A declared channel and the parts of its policy that are live."""

    name: str
    type: ChannelType
    display_name: str = ""
    priority: Priority = Priority.NORMAL
    time_to_live_ms: int | None = None
    max_content_bytes: int | None = None
    messages_per_second: int | None = None


DEFAULT_CHAT = Channel(name=CHAT, type=ChannelType.CHAT, display_name="Chat")
