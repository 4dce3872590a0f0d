"""What every broker promises (`aldis.ports.broker`)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest

from aldis.adapters.memory import broker as memory_broker
from aldis.adapters.memory.broker import MemoryBroker
from aldis.adapters.memory.clock import DrivenClock, SystemClock
from aldis.adapters.rabbitmq.broker import Tuning, open_rabbit_broker
from aldis.domain.amqp_address import parse_amqp_address
from aldis.domain.errors import Unavailable
from aldis.domain.work import DELIVERY_LIMIT, LONGEST_WAIT_SECONDS, Poison
from aldis.ports.broker import Broker
from aldis.telemetry.metrics import Metrics

TIMEOUT_SECONDS = 20
HURRY = 100  # times faster than they must be, waits are over on a real server
LetPass = Callable[[float], Awaitable[None]]


class HastyClock(SystemClock):
    """Waits pass quickly."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / HURRY)


async def nothing(_seconds: float) -> None:
    """Time passes by itself."""


class Opened(NamedTuple):
    """A broker, what lets the time of its waits pass, and its numbers."""

    broker: Broker
    let_pass: LetPass
    metrics: Metrics

    def counted(self, queue: str, outcome: str) -> float:
        """How many items of a queue ended so."""
        labels = {"queue": queue, "outcome": outcome}
        return self.metrics.registry.get_sample_value("aldis_broker_items_total", labels) or 0


@asynccontextmanager
async def open_memory(_request: pytest.FixtureRequest) -> AsyncIterator[Opened]:
    clock, metrics = DrivenClock(), Metrics()
    yield Opened(MemoryBroker(clock=clock, metrics=metrics), clock.advance, metrics)


@asynccontextmanager
async def open_rabbitmq(request: pytest.FixtureRequest) -> AsyncIterator[Opened]:
    address, metrics = parse_amqp_address(request.getfixturevalue("rabbitmq_url")), Metrics()
    tuning = Tuning(drain_seconds=0.2)
    async with open_rabbit_broker(address, clock=HastyClock(), metrics=metrics, tuning=tuning) as broker:
        yield Opened(broker, nothing, metrics)


ADAPTERS = {"memory": open_memory, "rabbitmq": open_rabbitmq}


@pytest.fixture(params=ADAPTERS)
async def opened(request: pytest.FixtureRequest) -> AsyncIterator[Opened]:
    async with ADAPTERS[request.param](request) as opened:
        yield opened


@pytest.fixture
async def broker(opened: Opened) -> Broker:
    return opened.broker


class Worker:
    """A handler that keeps what it got, and fails the first `failures` times."""

    def __init__(self, failures: int = 0, error: Exception | None = None) -> None:
        self.items: asyncio.Queue[bytes] = asyncio.Queue()
        self.failures = failures
        self.error = error or RuntimeError("the provider is down")

    async def __call__(self, item: bytes) -> None:
        self.items.put_nowait(item)
        if self.failures > 0:
            self.failures -= 1
            raise self.error

    async def got(self, count: int) -> list[bytes]:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return [await self.items.get() for _ in range(count)]


async def test_a_published_item_reaches_a_consumer(broker: Broker) -> None:
    """An item comes as it was published, to a consumer of its own queue only."""
    deliver, push = Worker(), Worker()

    async with broker.consume("deliver", deliver), broker.consume("push", push):
        await broker.publish("deliver", b"\x00jobs")
        await broker.publish("push", b"other")

        assert await deliver.got(1) == [b"\x00jobs"]
        assert await push.got(1) == [b"other"]


async def test_items_wait_for_a_consumer(broker: Broker) -> None:
    """What is published while nobody consumes is handed out later."""
    await broker.publish("deliver", b"1")
    await broker.publish("deliver", b"2")
    worker = Worker()

    async with broker.consume("deliver", worker):
        assert sorted(await worker.got(2)) == [b"1", b"2"]


async def test_an_item_goes_to_one_consumer(broker: Broker) -> None:
    """Two consumers share a queue: without failures each item is handed out once."""
    worker = Worker()
    items = [b"%d" % number for number in range(20)]

    async with broker.consume("deliver", worker), broker.consume("deliver", worker):
        for item in items:
            await broker.publish("deliver", item)
        got = await worker.got(len(items))

    assert sorted(got) == sorted(items)
    assert worker.items.empty()


async def test_a_consumer_works_on_one_item_at_a_time(broker: Broker) -> None:
    """The next item is handed out when the handler has returned."""
    busy, most = 0, 0
    done = asyncio.Semaphore(0)

    async def handle(item: bytes) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0)
        busy -= 1
        done.release()

    async with broker.consume("deliver", handle), asyncio.timeout(TIMEOUT_SECONDS):
        for _ in range(3):
            await broker.publish("deliver", b"item")
        for _ in range(3):
            await done.acquire()

    assert most == 1


async def test_an_item_that_failed_comes_again(opened: Opened) -> None:
    """A handler that raises gets the item again after a while, until it succeeds."""
    worker = Worker(failures=2)

    async with opened.broker.consume("deliver", worker):
        await opened.broker.publish("deliver", b"item")
        for _ in range(3):
            assert await worker.got(1) == [b"item"]
            await opened.let_pass(LONGEST_WAIT_SECONDS)

    assert worker.items.empty()
    assert (opened.counted("deliver", "failed"), opened.counted("deliver", "done")) == (2, 1)


async def test_an_item_that_always_fails_is_set_aside(opened: Opened) -> None:
    """After the limit it does not come again, and the next one is worked on."""
    worker = Worker(failures=DELIVERY_LIMIT + 1)

    async with opened.broker.consume("deliver", worker):
        await opened.broker.publish("deliver", b"bad")
        for _ in range(DELIVERY_LIMIT + 1):
            assert await worker.got(1) == [b"bad"]
            await opened.let_pass(LONGEST_WAIT_SECONDS)
        await opened.broker.publish("deliver", b"good")

        assert await worker.got(1) == [b"good"]
    assert opened.counted("deliver", "dead") == 1


async def test_an_item_that_can_never_be_worked_on_is_set_aside_at_once(opened: Opened) -> None:
    """What its handler calls poison does not come again."""
    worker = Worker(failures=1, error=Poison("cannot be read"))

    async with opened.broker.consume("deliver", worker):
        await opened.broker.publish("deliver", b"bad")
        await opened.broker.publish("deliver", b"good")

        assert await worker.got(2) == [b"bad", b"good"]
        await opened.let_pass(LONGEST_WAIT_SECONDS)
    assert worker.items.empty()
    assert opened.counted("deliver", "dead") == 1


async def test_an_item_waits_for_what_it_needs_as_long_as_that_takes(opened: Opened) -> None:
    """While a dependency is away no attempt counts, so nothing is set aside because of it."""
    away = DELIVERY_LIMIT + 5
    worker = Worker(failures=away, error=Unavailable("the database does not answer"))

    async with opened.broker.consume("deliver", worker):
        await opened.broker.publish("deliver", b"item")
        for _ in range(away + 1):
            assert await worker.got(1) == [b"item"]
            await opened.let_pass(LONGEST_WAIT_SECONDS)

    assert worker.items.empty()
    assert (opened.counted("deliver", "postponed"), opened.counted("deliver", "dead")) == (away, 0)


async def test_a_failed_item_holds_up_no_other(broker: Broker) -> None:
    """While one item waits to come again the next ones are handed out."""
    worker = Worker(failures=1)

    async with broker.consume("deliver", worker):
        await broker.publish("deliver", b"bad")
        await broker.publish("deliver", b"good")

        assert await worker.got(2) == [b"bad", b"good"]


async def test_what_a_stopped_consumer_left_goes_to_the_next(broker: Broker) -> None:
    """An item whose handler was cancelled, or that waits after a failure, is not lost when its consumer ends."""
    started = asyncio.Event()

    async def handle(item: bytes) -> None:
        if item == b"bad":
            raise RuntimeError("the provider is down")
        started.set()
        await asyncio.Event().wait()

    async with broker.consume("deliver", handle), asyncio.timeout(TIMEOUT_SECONDS):
        await broker.publish("deliver", b"bad")
        await broker.publish("deliver", b"slow")
        await started.wait()
    worker = Worker()

    async with broker.consume("deliver", worker):
        assert sorted(await worker.got(2)) == [b"bad", b"slow"]


async def test_announcements_reach_everyone_who_is_bound(broker: Broker) -> None:
    """Each binding of a topic gets each announcement; other topics and nobody at all are fine."""
    one, two, other = Worker(), Worker(), Worker()

    async with broker.bind("message.accepted", one), broker.bind("message.accepted", two), broker.bind("other", other):
        await broker.announce("message.accepted", b"event")
        await broker.announce("nobody.cares", b"event")

        assert await one.got(1) == await two.got(1) == [b"event"]
    assert other.items.empty()


@pytest.mark.parametrize(
    ("pattern", "heard"),
    [
        ("message.accepted.chat", ["message.accepted.chat"]),
        ("message.accepted.*", ["message.accepted.chat", "message.accepted.orders"]),
        ("message.accepted.#", ["message.accepted.chat", "message.accepted.orders", "message.accepted.orders.eu"]),
        ("*.*.orders.#", ["message.accepted.orders", "message.accepted.orders.eu", "message.read.orders"]),
    ],
)
async def test_a_topic_may_be_a_pattern(broker: Broker, pattern: str, heard: list[str]) -> None:
    """A star stands for one word, a hash for any number of them."""
    worker = Worker()
    topics = ["message.accepted.chat", "message.accepted.orders", "message.accepted.orders.eu", "message.read.orders"]

    async with broker.bind(pattern, worker):
        for topic in topics:
            await broker.announce(topic, topic.encode())

        assert await worker.got(len(heard)) == [topic.encode() for topic in heard]
    assert worker.items.empty()


async def test_a_broker_knows_whether_it_is_heard(broker: Broker) -> None:
    """Where somebody is bound, announcing is never said to be of no use."""
    async with broker.bind("message.accepted", Worker()):
        assert broker.is_heard


async def test_a_binding_that_fails_gets_the_next_announcement(broker: Broker) -> None:
    """A handler's failure ends neither its binding nor the announcer."""
    worker = Worker(failures=1)

    async with broker.bind("message.accepted", worker):
        await broker.announce("message.accepted", b"1")
        await broker.announce("message.accepted", b"2")
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while b"2" not in await worker.got(1):
                pass


async def test_after_the_block_nothing_is_announced(broker: Broker) -> None:
    """A binding ends with its block."""
    worker = Worker()
    async with broker.bind("message.accepted", worker):
        pass

    await broker.announce("message.accepted", b"event")

    assert worker.items.empty()


async def test_a_full_memory_queue_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue that is full refuses, also while a failed item waits, and takes again when there is room."""
    monkeypatch.setattr(memory_broker, "QUEUE_ITEMS", 2)
    clock, worker = DrivenClock(), Worker(failures=1)
    broker = MemoryBroker(clock=clock, metrics=Metrics())

    async with broker.consume("deliver", worker):
        await broker.publish("deliver", b"1")
        await worker.got(1)
        await broker.publish("deliver", b"2")
        with pytest.raises(Unavailable, match="full"):
            await broker.publish("deliver", b"3")
        await clock.advance(LONGEST_WAIT_SECONDS)
        await broker.publish("deliver", b"3")

        assert await worker.got(3) == [b"2", b"1", b"3"]


async def test_a_full_memory_binding_loses_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Announcing never waits for a slow reader: what it cannot hold is dropped and counted."""
    monkeypatch.setattr(memory_broker, "BINDING_PAYLOADS", 1)
    metrics = Metrics()
    broker = MemoryBroker(clock=DrivenClock(), metrics=metrics)

    async with broker.bind("message.accepted", Worker()):
        for _ in range(3):
            await broker.announce("message.accepted", b"event")

    assert metrics.registry.get_sample_value("aldis_announcements_total", {"outcome": "dropped"}) == 2
