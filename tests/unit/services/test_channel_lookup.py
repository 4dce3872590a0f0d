import asyncio
from dataclasses import dataclass, field, replace
from typing import cast

from aldis.adapters.memory.clock import DrivenClock
from aldis.domain.channels import Channel, ChannelType, ChatPolicy, WhoMayChat
from aldis.domain.errors import Unavailable
from aldis.ports.store import Store
from aldis.services.channel_lookup import MAX_AGE, ChannelDirectory
from aldis.telemetry.tasks import cancel_and_wait, spawn

DESK = Channel(name="desk", type=ChannelType.CHAT)
CLOSED = replace(DESK, chat=ChatPolicy(who=WhoMayChat.NOBODY))


@dataclass
class Shelf:
    """A store of channels that counts how often all of them are read."""

    kept: dict[str, Channel] = field(default_factory=dict)
    version: int = 0
    reads: int = 0
    broken: bool = False

    def put(self, channel: Channel) -> None:
        self.kept[channel.name] = channel
        self.version += 1

    async def channel(self, name: str) -> Channel | None:
        return self.kept.get(name)

    async def channels(self) -> list[Channel]:
        self.reads += 1
        return list(self.kept.values())

    async def channels_version(self) -> str:
        if self.broken:
            raise Unavailable("not now")
        return str(self.version)


def build(*channels: Channel) -> tuple[Shelf, DrivenClock, ChannelDirectory]:
    shelf, clock = Shelf(), DrivenClock()
    for channel in channels:
        shelf.put(channel)
    return shelf, clock, ChannelDirectory(store=cast("Store", shelf), clock=clock)


async def test_what_was_read_is_found_without_waiting() -> None:
    """With the policies of those that restrict anything."""
    _, _, directory = build(CLOSED)
    assert directory.find("desk") is None

    await directory.refresh()

    assert directory.find("desk") == CLOSED
    assert directory.policies() == {"desk": CLOSED.chat}


async def test_who_can_wait_finds_a_new_channel_at_once() -> None:
    """And from then on those who cannot wait find it too."""
    shelf, _, directory = build()
    await directory.refresh()
    shelf.put(DESK)

    assert directory.find("desk") is None
    assert await directory.channel("desk") == DESK
    assert directory.find("desk") == DESK
    assert await directory.channel("none") is None


async def test_a_change_is_followed_within_the_promised_time() -> None:
    """And only a change is read; policies that somebody holds already do not change under him."""
    shelf, clock, directory = build(DESK)
    await directory.refresh()
    task = spawn(directory.keep_fresh(), "test")
    held = directory.policies()
    await clock.advance(3 * MAX_AGE)
    assert shelf.reads == 1

    shelf.put(CLOSED)
    await clock.advance(MAX_AGE)

    assert directory.find("desk") == CLOSED
    assert (held, directory.policies(), shelf.reads) == ({}, {"desk": CLOSED.chat}, 2)
    await cancel_and_wait(task)


async def test_a_database_that_does_not_answer_is_asked_again() -> None:
    """Meanwhile what was known last holds."""
    shelf, clock, directory = build(DESK)
    await directory.refresh()
    task = spawn(directory.keep_fresh(), "test")
    shelf.put(CLOSED)
    shelf.broken = True
    await clock.advance(MAX_AGE)
    assert directory.find("desk") == DESK

    shelf.broken = False
    await clock.advance(MAX_AGE)

    assert directory.find("desk") == CLOSED
    await cancel_and_wait(task)


async def test_looks_that_come_together_end_with_the_newest() -> None:
    """One after the other, so that an earlier one cannot put back what it had read."""
    shelf, _, directory = build(DESK)
    shelf.put(CLOSED)

    await asyncio.gather(*(directory.refresh() for _ in range(5)))

    assert (directory.find("desk"), shelf.reads) == (CLOSED, 1)
