"""The broker over RabbitMQ: one connection to give, another one to take, so that back-pressure on one spares the other.

It may be away at the start and at any time: what is given then is refused at once, and consumers go on when it is back.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from aldis.adapters.rabbitmq.binding import Binding
from aldis.adapters.rabbitmq.consumer import Consumer
from aldis.adapters.rabbitmq.link import Link
from aldis.adapters.rabbitmq.publisher import Publisher
from aldis.adapters.rabbitmq.wire import quiet_driver
from aldis.domain.amqp_address import AmqpAddress
from aldis.ports.broker import Handler
from aldis.ports.clock import Clock
from aldis.telemetry.metrics import Metrics

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Bounds. `prefetch` is by the last word of a queue's name; all processes must agree on `queue_items`."""

    publish_seconds: float = 5.0  # for a whole call; a sweep that cannot publish tries again in as long
    drain_seconds: float = 5.0  # for the item in hand when a consumer ends
    queue_items: int = 10_000  # an item names up to some hundred jobs: hours of work
    prefetch: Mapping[str, int] = field(default_factory=lambda: {"express": 20, "standard": 10})
    other_prefetch: int = 5


class RabbitBroker:
    """Publish and consume through RabbitMQ. Make it with `open_rabbit_broker`."""

    is_heard = True  # who has bound to the exchange is the broker's business

    def __init__(self, *, giving: Link, taking: Link, clock: Clock, metrics: Metrics, tuning: Tuning) -> None:
        self._giving = giving
        self._taking = taking
        self._clock = clock
        self._metrics = metrics
        self._tuning = tuning
        self._publisher = Publisher(
            giving, metrics=metrics, queue_items=tuning.queue_items, seconds=tuning.publish_seconds
        )

    @property
    def age(self) -> float | None:
        """Seconds since it last answered; None when it never has."""
        return self._giving.age

    async def publish(self, queue: str, item: bytes) -> None:
        """Put an item into a work queue, and wait until the broker has it on its disks."""
        await self._publisher.publish(queue, item)

    async def announce(self, topic: str, payload: bytes) -> None:
        """Send events to the exchange `aldis.events`, and wait until all queues that are bound have them."""
        await self._publisher.announce(topic, payload)

    @asynccontextmanager
    async def consume(self, queue: str, handler: Handler) -> AsyncGenerator[None]:
        """Hand items to `handler` in a task; what is unfinished at the end goes back into the queue."""
        await self._taking.start()
        consumer = Consumer(
            self._taking,
            queue=queue,
            handler=handler,
            clock=self._clock,
            metrics=self._metrics,
            queue_items=self._tuning.queue_items,
            prefetch=self._prefetch(queue),
        )
        async with consumer.running(self._tuning.drain_seconds):
            yield

    @asynccontextmanager
    async def bind(self, topic: str, handler: Handler) -> AsyncGenerator[None]:
        """Hand announcements to `handler` in a task; what is announced while the connection is lost is not heard."""
        await self._taking.start()
        async with Binding(self._taking, topic=topic, handler=handler, clock=self._clock).running():
            yield

    def _prefetch(self, queue: str) -> int:
        return self._tuning.prefetch.get(queue.rpartition(".")[2], self._tuning.other_prefetch)


@asynccontextmanager
async def open_rabbit_broker(
    address: AmqpAddress, *, clock: Clock, metrics: Metrics, tuning: Tuning | None = None
) -> AsyncGenerator[RabbitBroker]:
    """A broker whose connections are closed at the end; raises nothing when the other side is not there."""
    quiet_driver()
    giving, taking = (Link(address, name=name, clock=clock, metrics=metrics) for name in ("publish", "consume"))
    try:
        await giving.start()
        yield RabbitBroker(giving=giving, taking=taking, clock=clock, metrics=metrics, tuning=tuning or Tuning())
    finally:
        await taking.stop()
        await giving.stop()
