"""The broker on a real RabbitMQ: what is confirmed is kept, what is full or bad is told apart, and at which speed."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from math import inf

import aio_pika
import pytest
import structlog.testing
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue

from aldis.adapters.rabbitmq import topology
from aldis.adapters.rabbitmq.subscription import Subscription, open_subscription
from aldis.adapters.rabbitmq.wire import open_wire
from aldis.domain.amqp_address import parse_amqp_address
from aldis.domain.errors import Unavailable
from aldis.domain.work import Poison
from aldis.telemetry.metrics import Metrics
from integration.broker.working import QUEUE, Worker, opened, wait_until
from servers.rabbitmq import RabbitServer

ITEMS = 10_000
TOGETHER = 1_000  # calls at once; the window lets fewer of them to the broker
SIZE = 300
SECRET = b"what nobody is to read"


async def take(url: str, queue: str) -> AbstractIncomingMessage | None:
    """What lies in a queue, taken out as any other program would."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        found: AbstractIncomingMessage | None = await (await channel.get_queue(queue)).get(fail=False, no_ack=True)
        return found


def counted(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"aldis_{name}_total", labels) or 0


@pytest.mark.slow
async def test_ten_thousand_items_are_confirmed_and_handed_out(rabbitmq_url: str) -> None:
    """Each is confirmed, each arrives, and the rates are printed."""
    worker = Worker()
    async with opened(rabbitmq_url, publish_seconds=20.0) as broker:
        began = time.perf_counter()
        for first in range(0, ITEMS, TOGETHER):
            items = (b"%0*d" % (SIZE, number) for number in range(first, first + TOGETHER))
            await asyncio.gather(*(broker.publish(QUEUE, item) for item in items))
        published = time.perf_counter()
        async with broker.consume(QUEUE, worker):
            await wait_until(lambda: len(worker.items) >= ITEMS)
        consumed = time.perf_counter()

    assert len(set(worker.items)) == ITEMS
    print(f"{ITEMS / (published - began):,.0f} confirmed/s, {ITEMS / (consumed - published):,.0f} worked on/s")


async def test_a_full_queue_refuses(rabbitmq_url: str) -> None:
    """What finds no room is refused and counted, and when there is room again it is taken."""
    metrics, worker = Metrics(), Worker()
    async with opened(rabbitmq_url, metrics=metrics, queue_items=3) as broker:
        taken = 0
        with pytest.raises(Unavailable, match="full"):
            for taken in range(100):
                await broker.publish(QUEUE, b"%d" % taken)
        async with broker.consume(QUEUE, worker):
            await wait_until(lambda: len(worker.items) == taken)
            await broker.publish(QUEUE, b"again")
            await wait_until(lambda: b"again" in worker.items)

    assert sorted(worker.items) == sorted([*(b"%d" % number for number in range(taken)), b"again"])
    assert counted(metrics, "broker_published", target=QUEUE, outcome="refused") == 1


async def test_poison_lies_in_the_dead_queue(rabbitmq_url: str) -> None:
    """It is there as it was published, with where it came from, and the log tells of it without a word of its own."""
    worker = Worker(Poison("cannot be read"))
    with structlog.testing.capture_logs() as logs:
        async with opened(rabbitmq_url) as broker, broker.consume(QUEUE, worker):
            await broker.publish(QUEUE, SECRET)
            await wait_until(lambda: any(line["event"] == "item_dead" for line in logs))
            async with asyncio.timeout(10):
                while (dead := await take(rabbitmq_url, topology.dead_queue(QUEUE))) is None:
                    pass

    assert dead.body == SECRET
    assert dead.headers["x-first-death-queue"] == topology.work_queue(QUEUE)
    assert [line["queue"] for line in logs if line["event"] == "item_dead"] == [QUEUE]
    assert SECRET.decode() not in str(logs)


async def test_what_stands_in_the_broker(rabbitmq_server: RabbitServer, rabbitmq_url: str) -> None:
    """Queues are replicated, bounded, and know where their dead go; events leave by a durable topic exchange."""
    vhost = rabbitmq_url.rpartition("/")[2]
    async with opened(rabbitmq_url) as broker:
        await broker.publish(QUEUE, b"item")
        await broker.announce("message.accepted.chat", b"[]")
    queues = {queue["name"]: queue for queue in rabbitmq_server.ask("GET", f"queues/{vhost}")}
    exchange = rabbitmq_server.ask("GET", f"exchanges/{vhost}/{topology.EVENTS}")

    assert set(queues) == {"aldis.deliver.express.v1", "aldis.deliver.express.v1.dead"}
    assert {queue["type"] for queue in queues.values()} == {"quorum"}
    arguments = queues["aldis.deliver.express.v1"]["arguments"]
    assert arguments["x-delivery-limit"] == 20
    assert arguments["x-overflow"] == "reject-publish"
    assert arguments["x-dead-letter-strategy"] == "at-least-once"
    assert (exchange["type"], exchange["durable"]) == ("topic", True)


async def test_a_queue_that_was_made_by_hand_is_used(rabbitmq_url: str) -> None:
    """Other arguments are told of in the log, and the queue holds work as well."""
    async with await aio_pika.connect(rabbitmq_url) as connection:
        channel = await connection.channel()
        await channel.declare_queue(topology.work_queue(QUEUE), durable=True)
    worker = Worker()

    with structlog.testing.capture_logs() as logs:
        async with opened(rabbitmq_url) as broker, broker.consume(QUEUE, worker):
            await broker.publish(QUEUE, b"item")
            await wait_until(lambda: worker.items == [b"item"])

    assert "broker_queue_differs" in {line["event"] for line in logs}


async def test_a_queue_or_an_exchange_that_was_deleted_is_made_again(
    rabbitmq_server: RabbitServer, rabbitmq_url: str
) -> None:
    """While we are connected: the next publish and the next announcement find their way, and consumers go on."""
    vhost = rabbitmq_url.rpartition("/")[2]
    worker, listener = Worker(), Worker()
    async with opened(rabbitmq_url) as broker, broker.consume(QUEUE, worker):
        await broker.publish(QUEUE, b"1")
        await broker.announce("message.accepted.chat", b"[]")
        await wait_until(lambda: worker.items == [b"1"])

        for name in (topology.work_queue(QUEUE), topology.dead_queue(QUEUE)):
            rabbitmq_server.ask("DELETE", f"queues/{vhost}/{name}")
        rabbitmq_server.ask("DELETE", f"exchanges/{vhost}/{topology.EVENTS}")
        await broker.publish(QUEUE, b"2")
        await broker.announce("message.accepted.chat", b"[]")
        await wait_until(lambda: worker.items == [b"1", b"2"])

        async with broker.bind("message.accepted.#", listener):
            await broker.announce("message.accepted.chat", b"[1]")
            await wait_until(lambda: listener.items == [b"[1]"])


async def test_where_giving_back_is_free_what_is_postponed_goes_back(
    rabbitmq_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From RabbitMQ 4.3 on another consumer may have what this one lacks: it comes again from the queue."""
    monkeypatch.setattr("aldis.adapters.rabbitmq.subscription.is_nack_free", lambda _version: True)
    worker = Worker(Unavailable("the database does not answer"), Unavailable("the database does not answer"))
    async with opened(rabbitmq_url) as broker, broker.consume(QUEUE, worker):
        await broker.publish(QUEUE, b"item")
        await wait_until(lambda: worker.items == [b"item"] * 3)


@asynccontextmanager
async def subscribed(url: str, *, idle_looks: float = inf) -> AsyncGenerator[Subscription]:
    """A consumer of the queue `some`, two deliveries at a time, that looks around whenever nothing comes for 0.1 s."""
    address = parse_amqp_address(url)
    wire = await open_wire(address, address.nodes[0], name="test", on_lost=lambda: None)

    async def prepare(channel: AbstractChannel) -> AbstractQueue:
        return await channel.declare_queue("some")

    async with asyncio.timeout(20), open_subscription(wire, prepare, 2, idle_looks=idle_looks) as subscription:
        yield subscription
    await wire.close()


@pytest.fixture
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aldis.adapters.rabbitmq.subscription.IDLE_SECONDS", 0.1)


@pytest.mark.usefixtures("restless")
async def test_a_consumer_that_was_lost_without_a_word_is_noticed(rabbitmq_url: str) -> None:
    """Where nothing comes the broker is asked whether the queue has a consumer at all."""
    async with subscribed(rabbitmq_url) as subscription:
        assert subscription._queue is not None
        await subscription._queue.cancel(subscription._tag)

        assert await subscription.next() is None


@pytest.mark.usefixtures("restless")
async def test_a_consumer_that_the_broker_passes_over_is_noticed(rabbitmq_url: str) -> None:
    """The queue has a consumer, and items that nobody is sent: then it is not us whom the broker knows."""
    async with subscribed(rabbitmq_url) as subscription, await aio_pika.connect(rabbitmq_url) as other:
        assert subscription._queue is not None
        await subscription._queue.cancel(subscription._tag)
        channel = await other.channel()
        await channel.set_qos(prefetch_count=1)
        await (await channel.get_queue("some")).consume(Worker())  # type: ignore[arg-type]  # never answers
        for _ in range(3):
            await channel.default_exchange.publish(aio_pika.Message(b"item"), "some")

        assert await subscription.next() is None


@pytest.mark.usefixtures("restless")
async def test_a_queue_is_consumed_anew_when_nothing_came_for_long(rabbitmq_url: str) -> None:
    """What the broker believes of us cannot be seen from here; while an item is in hand nothing is done."""
    async with subscribed(rabbitmq_url, idle_looks=3) as subscription:
        assert await subscription.next() is None
    async with subscribed(rabbitmq_url, idle_looks=1) as subscription:
        await subscription._channel.default_exchange.publish(aio_pika.Message(b"item"), "some")
        item = await subscription.next()
        assert item is not None
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await subscription.next()
        assert await subscription.settle(item.ack())
        assert await subscription.next() is None


async def test_too_many_calls_at_once_are_refused(rabbitmq_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for the broker is bounded in number; the others are told at once."""
    monkeypatch.setattr("aldis.adapters.rabbitmq.publisher.WAITING", 5)
    async with opened(rabbitmq_url) as broker:
        calls = [broker.publish(QUEUE, b"item") for _ in range(20)]
        answers = await asyncio.gather(*calls, return_exceptions=True)

    assert sum(answer is None for answer in answers) == 5
    assert all(answer is None or isinstance(answer, Unavailable) for answer in answers)
