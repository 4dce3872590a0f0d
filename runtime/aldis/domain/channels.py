"""Channels: what a backend may send into, and what users chat in. The shape of the `Channel` resource's spec."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aldis.domain.retry import DEFAULT_RETRY, RetryPolicies, RetryPolicy
from aldis.domain.streams import Priority

CHAT = "chat"  # the channel that users chat in when they name none; always there


class ChannelType(StrEnum):
    """What flows through a channel."""

    NOTIFICATION = "Notification"
    BROADCAST = "Broadcast"
    CHAT = "Chat"


class Audience(StrEnum):
    """Who hears a broadcast channel."""

    EVERYONE = "Everyone"
    SUBSCRIBERS = "Subscribers"


class History(StrEnum):
    """Whether those who join a broadcast channel later see what was sent before."""

    VISIBLE = "Visible"
    HIDDEN = "Hidden"


class WhoMayChat(StrEnum):
    """Which two users may write to each other in a channel of type Chat."""

    ANYONE = "Anyone"
    AGENTS = "Agents"  # one of the two is an agent
    EXISTING = "Existing"  # only where there is a conversation already: backends begin them
    NOBODY = "Nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatPolicy:
    """Who may chat; `agents` are user ids, or beginnings of them ending in `*`."""

    who: WhoMayChat = WhoMayChat.ANYONE
    agents: tuple[str, ...] = ()

    def is_agent(self, user: str) -> bool:
        """Whether `user` is one of the agents."""
        return any(user.startswith(agent[:-1]) if agent.endswith("*") else user == agent for agent in self.agents)

    def lets(self, first: str, second: str, *, exists: bool) -> bool:
        """Whether these two may write to each other; `exists` says that they have a conversation already."""
        match self.who:
            case WhoMayChat.ANYONE:
                return True
            case WhoMayChat.AGENTS:
                return self.is_agent(first) or self.is_agent(second)
            case WhoMayChat.EXISTING:
                return exists
            case WhoMayChat.NOBODY:
                return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A declared channel and the parts of its policy that are live. `created_at` is Unix milliseconds."""

    name: str
    type: ChannelType
    display_name: str = ""
    priority: Priority = Priority.NORMAL
    time_to_live_ms: int | None = None
    max_content_bytes: int | None = None
    messages_per_second: int | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    audience: Audience = Audience.SUBSCRIBERS
    history: History = History.VISIBLE
    chat: ChatPolicy = field(default_factory=ChatPolicy)


ChatPolicies = Mapping[str, ChatPolicy]  # of the chat channels that do not let everybody write to everybody


def chat_policies(channels: Iterable[Channel]) -> ChatPolicies:
    """The policies that there is something to check for, by channel."""
    return {
        channel.name: channel.chat
        for channel in channels
        if channel.type is ChannelType.CHAT and channel.chat.who is not WhoMayChat.ANYONE
    }


def retry_policies(channels: Iterable[Channel]) -> RetryPolicies:
    """How the channels ring that do so in a way of their own, by channel."""
    return {channel.name: channel.retry for channel in channels if channel.retry != DEFAULT_RETRY}


DEFAULT_CHAT = Channel(name=CHAT, type=ChannelType.CHAT, display_name="Chat")
