"""What every backplane promises (`aldis.ports.backplane`)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from aldis.adapters.memory.backplane import MemoryBackplane
from aldis.adapters.redis.backplane import RedisBackplane, open_redis_backplane
from aldis.domain.ids import UserId
from aldis.domain.streams import EXPRESS, STANDARD, Batch, Broadcast, BroadcastEvent, BroadcastSource, Event
from aldis.ports.backplane import (
    Backplane,
    ChannelsChanged,
    Disconnect,
    Knock,
    Parting,
    Question,
    Replaced,
    Ring,
    Roll,
    Sighting,
    Whisper,
)
from aldis.ports.connections import ConnectionView
from aldis.telemetry.metrics import Metrics
from contract.patient_redis import open_patient_redis

ANNA = UserId("anna")
TIMEOUT_SECONDS = 5


@asynccontextmanager
async def open_memory(_: pytest.FixtureRequest) -> AsyncIterator[Backplane]:
    yield MemoryBackplane(metrics=Metrics())


@asynccontextmanager
async def open_redis_process(url: str) -> AsyncIterator[RedisBackplane]:
    metrics = Metrics()
    async with (
        open_patient_redis(url, metrics=metrics) as link,
        open_redis_backplane(link, metrics=metrics) as backplane,
    ):
        yield backplane


@asynccontextmanager
async def open_one_process(request: pytest.FixtureRequest) -> AsyncIterator[Backplane]:
    async with open_redis_process(request.getfixturevalue("redis_url")) as backplane:
        yield backplane


class TwoProcesses:
    """What one process rings, another one hears."""

    def __init__(self, ringing: Backplane, listening: Backplane) -> None:
        self._ringing = ringing
        self._listening = listening

    async def ring(self, rings: Mapping[str, Sequence[Ring]]) -> None:
        await self._ringing.ring(rings)

    async def ring_all(self, rings: Sequence[Ring]) -> None:
        await self._ringing.ring_all(rings)

    def listen(self, node: str, on_ring: Callable[[Sequence[Ring]], None]) -> AbstractAsyncContextManager[None]:
        return self._listening.listen(node, on_ring)


@asynccontextmanager
async def open_two_processes(request: pytest.FixtureRequest) -> AsyncIterator[Backplane]:
    url = request.getfixturevalue("redis_url")
    async with open_redis_process(url) as ringing, open_redis_process(url) as listening:
        yield TwoProcesses(ringing, listening)


ADAPTERS = {"memory": open_memory, "redis-within": open_one_process, "redis-between": open_two_processes}


@pytest.fixture(params=ADAPTERS)
async def backplane(request: pytest.FixtureRequest) -> AsyncIterator[Backplane]:
    async with ADAPTERS[request.param](request) as backplane:
        yield backplane


class Listener:
    """Keeps what was rung."""

    def __init__(self) -> None:
        self.rung: asyncio.Queue[Ring] = asyncio.Queue()

    def __call__(self, rings: Sequence[Ring]) -> None:
        for ring in rings:
            self.rung.put_nowait(ring)

    async def heard(self, count: int) -> list[Ring]:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return [await self.rung.get() for _ in range(count)]


def build_broadcast(source: BroadcastSource, *positions: int) -> Broadcast:
    events = [BroadcastEvent(pos, b'"type":"message"', channel="news", audience=-1) for pos in positions]
    return Broadcast(source, tuple(events), at=5)


def build_batch(*positions: int) -> Batch:
    return Batch(ANNA, STANDARD, tuple(Event(pos, b'"type":"message"') for pos in positions))


async def test_a_listening_node_hears_batches_and_knocks(backplane: Backplane) -> None:
    """What is rung for a node reaches its listener as it was."""
    listener = Listener()
    rings: list[Ring] = [build_batch(1, 2), Knock(ANNA), Whisper(ANNA, b"{}"), Sighting(ANNA, online=True)]
    rings.append(Parting(ANNA, UserId("bob")))

    async with backplane.listen("node-1", listener):
        await backplane.ring({"node-1": rings})

        assert sorted(await listener.heard(5), key=repr) == sorted(rings, key=repr)


async def test_batches_of_one_process_arrive_in_order(backplane: Backplane) -> None:
    """Batches of one user and source rung by one process keep their order."""
    listener, batches = Listener(), [build_batch(pos) for pos in range(1, 101)]

    async with backplane.listen("node-1", listener):
        for batch in batches:
            await backplane.ring({"node-1": [batch]})

        assert await listener.heard(100) == batches


async def test_each_node_hears_only_its_own(backplane: Backplane) -> None:
    """Rings for several nodes go to each its own, and to no other."""
    one, two = Listener(), Listener()

    async with backplane.listen("node-1", one), backplane.listen("node-2", two):
        await backplane.ring({"node-1": [build_batch(1)], "node-2": [build_batch(2)]})

        assert await one.heard(1) == [build_batch(1)]
        assert await two.heard(1) == [build_batch(2)]
        assert one.rung.empty()


async def test_a_broadcast_is_heard_once_by_every_node(backplane: Backplane) -> None:
    """What is rung for all reaches each listening node, once, in order."""
    one, two = Listener(), Listener()
    rings = [build_broadcast("bs", 1), build_broadcast("bs", 2)]

    async with backplane.listen("node-1", one), backplane.listen("node-2", two):
        await backplane.ring_all(rings[:1])
        await backplane.ring_all(rings[1:])

        assert await one.heard(2) == rings
        assert await two.heard(2) == rings
        assert one.rung.empty()


async def test_all_that_a_ring_says_arrives(backplane: Backplane) -> None:
    """Times, owners, audiences, reasons: nothing of a ring is lost on the way."""
    listener = Listener()
    event = Event(7, '"type":"message","text":"ö"'.encode(), own=True)
    rings: list[Ring] = [
        Batch(ANNA, EXPRESS, (event, Event(8, b"")), at=1_764_000_000_000),
        Disconnect(ANNA, None, 4403, "erased"),
        Disconnect(ANNA, "c1", 4409),
        Sighting(ANNA, online=False),
        Replaced(ANNA, "phone", "c2"),
        ChannelsChanged(),
        Question("q1", "node-2", "anna", None, "c0", 50),
        Roll("q1", "node-2", 7, (ConnectionView("c1", "anna", None, "web", 1, "node-2", "http", "::1", 0),)),
    ]

    async with backplane.listen("node-1", listener):
        for ring in rings:
            await backplane.ring({"node-1": [ring]})

        heard = await listener.heard(len(rings))

    assert sorted(heard, key=repr) == sorted(rings, key=repr)


async def test_an_unknown_node_is_ignored(backplane: Backplane) -> None:
    """Ringing a node that is not there harms neither the ringer nor the other nodes."""
    listener = Listener()

    async with backplane.listen("node-1", listener):
        await backplane.ring({"gone": [build_batch(1)], "node-1": [build_batch(2)]})

        assert await listener.heard(1) == [build_batch(2)]


async def test_a_node_that_stopped_listening_hears_nothing(backplane: Backplane) -> None:
    """After the block the listener is never called again."""
    listener = Listener()
    async with backplane.listen("node-1", listener):
        pass

    await backplane.ring({"node-1": [build_batch(1)]})

    assert listener.rung.empty()


async def test_a_listeners_failure_is_not_the_ringers(backplane: Backplane) -> None:
    """A listener that raises loses its own rings only: the ringer and the other nodes go on."""
    listener = Listener()

    def fail(rings: Sequence[Ring]) -> None:
        raise RuntimeError("broken listener")

    async with backplane.listen("broken", fail), backplane.listen("node-1", listener):
        await backplane.ring({"broken": [build_batch(1)], "node-1": [build_batch(2)]})

        assert await listener.heard(1) == [build_batch(2)]


async def test_the_memory_backplane_calls_at_once() -> None:
    """In one process the listener has been called when `ring` returns, and what was lost is counted."""
    metrics, listener = Metrics(), Listener()
    backplane = MemoryBackplane(metrics=metrics)

    async with backplane.listen("node-1", listener):
        await backplane.ring({"node-1": [build_batch(1)], "gone": [Knock(ANNA)]})

    assert listener.rung.get_nowait() == build_batch(1)
    assert metrics.registry.get_sample_value("aldis_rings_total", {"outcome": "unknown_node"}) == 1
