"""What every backplane promises (`aldis.ports.backplane`)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from aldis.adapters.memory.backplane import MemoryBackplane
from aldis.domain.ids import UserId
from aldis.domain.streams import STANDARD, Batch, Event
from aldis.ports.backplane import Backplane, Knock, Parting, Ring, Sighting, Whisper
from aldis.telemetry.metrics import Metrics

ANNA = UserId("anna")
TIMEOUT_SECONDS = 5


@asynccontextmanager
async def open_memory() -> AsyncIterator[Backplane]:
    yield MemoryBackplane(metrics=Metrics())


ADAPTERS = {"memory": open_memory}


@pytest.fixture(params=ADAPTERS)
async def backplane(request: pytest.FixtureRequest) -> AsyncIterator[Backplane]:
    async with ADAPTERS[request.param]() as backplane:
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


def build_batch(*positions: int) -> Batch:
    return Batch(ANNA, STANDARD, tuple(Event(pos, b'"type":"message"') for pos in positions))


async def test_a_listening_node_hears_batches_and_knocks(backplane: Backplane) -> None:
    """What is rung for a node reaches its listener as it was."""
    listener = Listener()
    rings: list[Ring] = [build_batch(1, 2), Knock(ANNA), Whisper(ANNA, b"{}"), Sighting(ANNA, online=True)]
    rings.append(Parting(ANNA, UserId("bob")))

    async with backplane.listen("node-1", listener):
        await backplane.ring({"node-1": rings})

        assert await listener.heard(5) == rings


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
