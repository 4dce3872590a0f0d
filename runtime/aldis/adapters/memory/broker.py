"""The broker of one process: bounded queues, and a task for each consumer.

What it holds is lost with the process; the work itself stands in the database and becomes due again.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import structlog

from aldis.domain.errors import Unavailable
from aldis.ports.broker import Handler
from aldis.ports.clock import Clock
from aldis.telemetry import tasks
from aldis.telemetry.metrics import Metrics

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

QUEUE_ITEMS = 1024  # a queue; an item names up to some hundred jobs, so this is minutes of work and about 50 MB
BINDING_PAYLOADS = 1024  # a binding; some seconds of announcements, after which its reader must find them elsewhere
RETRY_SECONDS = 1.0  # before a failed item comes again: long enough for a blip to pass, short beside any due time


@dataclass(slots=True)
class _Queue:
    """Items that wait. `held` also counts those in a handler's hands, so that an item given back always has room."""

    items: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    held: int = 0


class MemoryBroker:
    """Publish and consume within this process."""

    def __init__(self, *, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._queues: defaultdict[str, _Queue] = defaultdict(_Queue)
        self._bindings: defaultdict[str, list[asyncio.Queue[bytes]]] = defaultdict(list)
        self._announced = metrics.announcements.labels(outcome="taken")
        self._dropped = metrics.announcements.labels(outcome="dropped")

    async def publish(self, queue: str, item: bytes) -> None:
        """Put an item into a work queue; raises `Unavailable` when it is full."""
        line = self._queues[queue]
        if line.held >= QUEUE_ITEMS:
            raise Unavailable(f"queue {queue} is full; its work stays in the database and is published again")
        line.held += 1
        line.items.put_nowait(item)

    async def announce(self, topic: str, payload: bytes) -> None:
        """Send events to whoever is bound; a binding that is full loses them, which is counted."""
        for binding in self._bindings.get(topic, ()):
            try:
                binding.put_nowait(payload)
            except asyncio.QueueFull:
                self._dropped.inc()
            else:
                self._announced.inc()

    @asynccontextmanager
    async def consume(self, queue: str, handler: Handler) -> AsyncIterator[None]:
        """Hand items to `handler` in a task; what is unfinished at the end goes back into the queue."""
        consumer = tasks.spawn(self._work(queue, handler), f"consume:{queue}")
        try:
            yield
        finally:
            await tasks.cancel_and_wait(consumer)

    @asynccontextmanager
    async def bind(self, topic: str, handler: Handler) -> AsyncIterator[None]:
        """Hand announcements to `handler` in a task; one that it fails on is logged and does not come again."""
        binding: asyncio.Queue[bytes] = asyncio.Queue(BINDING_PAYLOADS)
        self._bindings[topic].append(binding)
        reader = tasks.spawn(_read(binding, topic, handler), f"bind:{topic}")
        try:
            yield
        finally:
            self._bindings[topic].remove(binding)
            await tasks.cancel_and_wait(reader)

    async def _work(self, queue: str, handler: Handler) -> None:
        line = self._queues[queue]
        async with asyncio.TaskGroup() as waiting:
            while True:
                item = await line.items.get()
                try:
                    await handler(item)
                except asyncio.CancelledError:
                    line.items.put_nowait(item)
                    raise
                except Exception as error:
                    log.warning("item_failed", queue=queue, exc_info=error)
                    retry = waiting.create_task(self._clock.sleep(RETRY_SECONDS), name=f"retry:{queue}")
                    retry.add_done_callback(partial(_give_back, line, item))
                else:
                    line.held -= 1


def _give_back(line: _Queue, item: bytes, _retry: asyncio.Task[None]) -> None:
    """Return an item after its wait, or at once when the consumer ends before that."""
    line.items.put_nowait(item)


async def _read(binding: asyncio.Queue[bytes], topic: str, handler: Handler) -> None:
    while True:
        payload = await binding.get()
        try:
            await handler(payload)
        except Exception:
            log.exception("announcement_failed", topic=topic)
