from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from aldis.adapters.memory.clock import DrivenClock
from aldis.domain.channels import Channel, ChannelType
from aldis.domain.errors import Rejected
from aldis.domain.streams import Priority
from aldis.ports.administration import KeptChannel
from aldis.ports.store import Store
from aldis.services.apply_channel import apply_channel, duration_ms, parse_channel
from aldis.services.channel_spec import version_of
from aldis.services.delete_channel import delete_channel

RESOURCE: dict[str, Any] = {
    "apiVersion": "aldis.dev/v1alpha1",
    "kind": "Channel",
    "metadata": {"name": "orders", "labels": {"team": "shop"}},
    "spec": {
        "clusterRef": {"name": "prod"},
        "type": "Notification",
        "displayName": "Order updates",
        "delivery": {"priority": "high", "timeToLive": "24h", "maxAttempts": 8, "backoff": {"initial": "5s"}},
        "limits": {"messagesPerSecond": 100, "maxContentBytes": 32768},
        "push": {"enabled": True},
    },
}


class Channels:
    def __init__(self) -> None:
        self.channels: dict[str, Channel] = {}
        self.writes = 0
        self.deleted: set[str] = set()
        self.audited: list[tuple[str, str, str]] = []

    @asynccontextmanager
    async def begin(self) -> AsyncIterator["Channels"]:
        yield self

    async def put_channel(self, channel: Channel, now: int) -> None:
        self.writes += 1
        self.channels[channel.name] = channel
        self.deleted.discard(channel.name)

    async def kept_channel(self, name: str) -> KeptChannel | None:
        return KeptChannel(self.channels[name], name in self.deleted) if name in self.channels else None

    async def close_channel(self, name: str, at: int) -> None:
        self.deleted.add(name)

    async def put_audit(self, actor: str, action: str, target: str, details: Mapping[str, object], at: int) -> None:
        self.audited.append((actor, action, target))


def open_store(channels: Channels | None = None) -> Store:
    return cast("Store", channels or Channels())


def test_a_whole_resource_is_a_channel() -> None:
    """The custom resource's own file declares a channel; what is not honoured yet is named."""
    document = parse_channel(RESOURCE)

    assert document.channel == Channel(
        name="orders",
        type=ChannelType.NOTIFICATION,
        display_name="Order updates",
        priority=Priority.HIGH,
        time_to_live_ms=86_400_000,
        messages_per_second=100,
        max_content_bytes=32768,
    )
    assert document.ignored == ("clusterRef", "push")


def test_a_spec_alone_needs_a_name_beside_it() -> None:
    """The admin API takes the spec as it stands, the name comes from the path."""
    assert parse_channel({"type": "Chat"}, name="support").channel.type == ChannelType.CHAT
    with pytest.raises(Rejected, match="name"):
        parse_channel({"type": "Chat"})


@pytest.mark.parametrize(
    ("spec", "code", "field"),
    [
        ({"type": "Chat", "colour": "red"}, "unknown_field", "colour"),
        ({"type": "Chat", "delivery": {"speed": 1}}, "unknown_field", "delivery.speed"),
        ({"type": "Chat", "limits": {"messagesPerSecond": 0}}, "bad_request", "limits.messagesPerSecond"),
        ({"type": "Chat", "limits": {"messagesPerSecond": True}}, "bad_request", "limits.messagesPerSecond"),
        ({"type": "Chat", "delivery": {"priority": "asap"}}, "bad_request", "delivery.priority"),
        ({"type": "Chat", "delivery": {"timeToLive": "1 day"}}, "bad_request", "delivery.timeToLive"),
        ({"type": "Chat", "delivery": {"timeToLive": "0s"}}, "bad_request", "delivery.timeToLive"),
        ({"type": "Chat", "delivery": {"timeToLive": "999999999h"}}, "bad_request", "delivery.timeToLive"),
        ({"type": "Chat", "delivery": {"maxAttempts": 51}}, "bad_request", "delivery.maxAttempts"),
        ({"type": "Chat", "delivery": {"backoff": {"initial": "10ms"}}}, "bad_request", "delivery.backoff.initial"),
        ({"type": "Chat", "delivery": {"backoff": {"max": "2s"}}}, "bad_request", "delivery.backoff.max"),
        ({"type": "Chat", "delivery": {"backoff": {"factor": 0.5}}}, "bad_request", "delivery.backoff.factor"),
        ({"type": "Chat", "audience": "Everyone"}, "bad_request", "audience"),
        ({"type": "Notification", "history": "Hidden"}, "bad_request", "history"),
        ({"type": "Broadcast", "chat": {"who": "Nobody"}}, "bad_request", "chat"),
        ({"type": "Broadcast", "audience": "Some"}, "bad_request", "audience"),
        ({"type": "Chat", "chat": {"agents": ["support"]}}, "bad_request", "chat.agents"),
        ({"type": "Chat", "chat": {"who": "Agents", "agents": ["a b"]}}, "bad_request", "chat.agents[0]"),
        ({"type": "chat"}, "bad_request", "type"),
        ({}, "bad_request", "type"),
        ([], "bad_request", None),
        (None, "bad_request", None),
    ],
)
def test_a_mistake_is_refused_with_its_path(spec: object, code: str, field: str | None) -> None:
    """Unknown fields and wrong values name the place where they stand."""
    with pytest.raises(Rejected) as refused:
        parse_channel(spec, name="orders")

    assert (refused.value.code, refused.value.field) == (code, field)


def test_a_mistake_in_a_resource_is_told_from_its_top() -> None:
    """In a whole resource the path begins with `spec`."""
    with pytest.raises(Rejected) as refused:
        parse_channel({**RESOURCE, "spec": {"type": "Chat", "delivery": {"speed": 1}}})

    assert refused.value.field == "spec.delivery.speed"


@pytest.mark.parametrize(
    "change", [{"apiVersion": "v1"}, {"kind": "Pod"}, {"metadata": {}}, {"metadata": {"name": "a b"}}, {"spec": []}]
)
def test_another_resource_is_refused(change: dict[str, Any]) -> None:
    """Only a Channel of our group, with a name, is one."""
    with pytest.raises(Rejected):
        parse_channel({**RESOURCE, **change})


@pytest.mark.parametrize(("text", "ms"), [("24h", 86_400_000), ("1h30m", 5_400_000), ("500ms", 500), ("5m1s", 301_000)])
def test_durations_are_read_as_kubernetes_writes_them(text: str, ms: int) -> None:
    """Numbers with units, largest first or not."""
    assert duration_ms(text) == ms


async def test_applying_twice_writes_once() -> None:
    """The same document again changes nothing."""
    channels = Channels()

    for _ in range(2):
        await apply_channel(RESOURCE, store=open_store(channels), clock=DrivenClock())

    assert channels.writes == 1
    assert channels.audited == [("cli", "channel.apply", "orders")]


async def test_a_change_is_made_only_to_the_version_that_was_seen() -> None:
    """Two who change a channel at once do not undo each other: the second one is told to look again."""
    store = open_store()
    first = await apply_channel({"type": "Chat"}, name="support", store=store, clock=DrivenClock())
    seen = version_of(first.channel)
    wanted = {"type": "Chat", "displayName": "Help"}
    await apply_channel(wanted, name="support", match=seen, store=store, clock=DrivenClock())

    with pytest.raises(Rejected) as refused:
        await apply_channel({"type": "Chat"}, name="support", match=seen, store=store, clock=DrivenClock())

    assert (refused.value.code, refused.value.field) == ("precondition_failed", "If-Match")


async def test_a_deleted_channel_comes_back_as_what_it_was() -> None:
    """Its conversations are still there, so its type cannot change by deleting it either."""
    store = open_store()
    await apply_channel({"type": "Chat"}, name="support", store=store, clock=DrivenClock())
    await delete_channel("support", actor="backend:ops", store=store, clock=DrivenClock())

    with pytest.raises(Rejected) as refused:
        await apply_channel({"type": "Notification"}, name="support", store=store, clock=DrivenClock())
    again = await apply_channel({"type": "Chat"}, name="support", store=store, clock=DrivenClock())

    assert refused.value.code == "conflict"
    assert again.result == "created"


@pytest.mark.parametrize(("name", "code"), [("chat", "conflict"), ("nowhere", "not_found")])
async def test_what_cannot_be_deleted_is_told(name: str, code: str) -> None:
    """`chat` is always there, and what is not there cannot go."""
    with pytest.raises(Rejected) as refused:
        await delete_channel(name, actor="backend:ops", store=open_store(), clock=DrivenClock())

    assert refused.value.code == code


async def test_a_type_cannot_change() -> None:
    """What was sent into a channel would mean something else."""
    store = open_store()
    await apply_channel({"type": "Chat"}, name="support", store=store, clock=DrivenClock())

    with pytest.raises(Rejected) as refused:
        await apply_channel({"type": "Notification"}, name="support", store=store, clock=DrivenClock())

    assert refused.value.code == "conflict"


def test_the_chat_channel_stays_a_chat() -> None:
    """`chat` is always there and always a Chat."""
    with pytest.raises(Rejected, match="Chat"):
        parse_channel({"type": "Notification"}, name="chat")
