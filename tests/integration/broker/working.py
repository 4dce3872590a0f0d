"""What tests of the broker share: an open one, a worker that remembers, and a clock on which waits are short."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from aldis.adapters.memory.clock import SystemClock
from aldis.adapters.rabbitmq.broker import RabbitBroker, Tuning, open_rabbit_broker
from aldis.domain.amqp_address import parse_amqp_address
from aldis.telemetry.metrics import Metrics

PATIENCE_SECONDS = 40.0  # for a busy machine on which a broker comes back
PUBLISH_SECONDS = 2.0
HURRY = 10
QUEUE = "deliver.express"


class HastyClock(SystemClock):
    """Waits pass quickly."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / HURRY)


@asynccontextmanager
async def opened(
    url: str, *, metrics: Metrics | None = None, queue_items: int = 10_000, publish_seconds: float = PUBLISH_SECONDS
) -> AsyncGenerator[RabbitBroker]:
    """A broker as the product opens it, but for its patience."""
    tuning = Tuning(queue_items=queue_items, publish_seconds=publish_seconds)
    broker = open_rabbit_broker(
        parse_amqp_address(url), clock=HastyClock(), metrics=metrics or Metrics(), tuning=tuning
    )
    async with broker as opened:
        yield opened


class Worker:
    """Remembers what it was handed; raises what it is told to."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.items: list[bytes] = []

    async def __call__(self, item: bytes) -> None:
        self.items.append(item)
        if self.errors:
            raise self.errors.pop(0)


async def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that another process brings about."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.01)
