"""The broker of one process: bounded queues, and a task for each consumer.

What it holds is lost with the process; the work itself stands in the database and becomes due again.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import structlog

from aldis.domain.errors import Unavailable
from aldis.domain.work import Verdict, judge, wait_seconds
from aldis.ports.broker import Handler
from aldis.ports.clock import Clock
from aldis.telemetry import tasks
from aldis.telemetry.metrics import Metrics

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

QUEUE_ITEMS = 1024  # a queue; an item names up to some hundred jobs, so this is minutes of work and about 50 MB
BINDING_PAYLOADS = 1024  # a binding; some seconds of announcements, after which its reader must find them elsewhere


@dataclass(slots=True)
class _Item:
    """An item and how often it has failed."""

    body: bytes
    failures: int = 0


@dataclass(slots=True)
class _Queue:
    """Items that wait. `held` also counts those in a handler's hands, so that an item given back always has room."""

    items: asyncio.Queue[_Item] = field(default_factory=asyncio.Queue)
    held: int = 0


@dataclass(slots=True, eq=False)
class _Binding:
    """What somebody has bound to, and what waits for him."""

    words: Sequence[str]
    payloads: asyncio.Queue[bytes]


class MemoryBroker:
    """Publish and consume within this process."""

    def __init__(self, *, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._queues: defaultdict[str, _Queue] = defaultdict(_Queue)
        self._bindings: list[_Binding] = []
        self._announced = metrics.announcements.labels(outcome="taken")
        self._dropped = metrics.announcements.labels(outcome="dropped")

    @property
    def is_heard(self) -> bool:
        """Whether anybody has bound to anything."""
        return bool(self._bindings)

    async def publish(self, queue: str, item: bytes) -> None:
        """Put an item into a work queue; raises `Unavailable` when it is full."""
        line = self._queues[queue]
        if line.held >= QUEUE_ITEMS:
            self._metrics.broker_published.labels(target=queue, outcome="refused").inc()
            raise Unavailable(f"queue {queue} is full; its work stays in the database and is published again")
        line.held += 1
        line.items.put_nowait(_Item(item))
        self._metrics.broker_published.labels(target=queue, outcome="taken").inc()

    async def announce(self, topic: str, payload: bytes) -> None:
        """Send events to whoever is bound; a binding that is full loses them, which is counted."""
        if not self._bindings:
            return
        words = topic.split(".")
        for binding in self._bindings:
            if not _is_meant(words, binding.words):
                continue
            try:
                binding.payloads.put_nowait(payload)
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
        binding = _Binding(topic.split("."), asyncio.Queue(BINDING_PAYLOADS))
        self._bindings.append(binding)
        reader = tasks.spawn(_read(binding.payloads, topic, handler), f"bind:{topic}")
        try:
            yield
        finally:
            self._bindings.remove(binding)
            await tasks.cancel_and_wait(reader)

    async def _work(self, queue: str, handler: Handler) -> None:
        line = self._queues[queue]
        done = self._metrics.broker_items.labels(queue=queue, outcome="done")
        async with asyncio.TaskGroup() as waiting:
            while True:
                item = await line.items.get()
                try:
                    await handler(item.body)
                except asyncio.CancelledError:
                    line.items.put_nowait(item)
                    raise
                except Exception as error:  # noqa: BLE001 - whatever it is, the item's fate is decided here
                    if (seconds := self._judge(queue, item, error)) is None:
                        line.held -= 1
                        continue
                    retry = waiting.create_task(self._clock.sleep(seconds), name=f"retry:{queue}")
                    retry.add_done_callback(partial(_give_back, line, item))
                else:
                    line.held -= 1
                    done.inc()

    def _judge(self, queue: str, item: _Item, error: Exception) -> float | None:
        """After how many seconds the item comes again; None: it does not."""
        verdict = judge(error, item.failures)
        self._metrics.broker_items.labels(queue=queue, outcome=verdict.value).inc()
        if verdict is Verdict.DEAD:
            log.error("item_dead", queue=queue, failures=item.failures, reason=type(error).__name__)
            return None
        _log_failure(queue, verdict, error, item.failures)
        seconds = wait_seconds(item.failures, random.random())  # noqa: S311 - jitter
        item.failures += verdict is Verdict.FAILED
        return seconds


def _log_failure(queue: str, verdict: Verdict, error: Exception, failures: int) -> None:
    """With the traceback the first time that an item fails."""
    is_first = verdict is Verdict.FAILED and failures == 0
    reason, shown = type(error).__name__, error if is_first else None
    log.warning("item_failed", queue=queue, verdict=verdict.value, reason=reason, exc_info=shown)


def _give_back(line: _Queue, item: _Item, _retry: asyncio.Task[None]) -> None:
    """Return an item after its wait, or at once when the consumer ends before that."""
    line.items.put_nowait(item)


def _is_meant(topic: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a pattern's words stand for the topic's, as a topic exchange has it."""
    if not pattern:
        return not topic
    if pattern[0] == "#":
        return any(_is_meant(topic[skipped:], pattern[1:]) for skipped in range(len(topic) + 1))
    return bool(topic) and pattern[0] in {"*", topic[0]} and _is_meant(topic[1:], pattern[1:])


async def _read(binding: asyncio.Queue[bytes], topic: str, handler: Handler) -> None:
    while True:
        payload = await binding.get()
        try:
            await handler(payload)
        except Exception:
            log.exception("announcement_failed", topic=topic)
