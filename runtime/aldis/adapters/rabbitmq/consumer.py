"""Taking work: one item after the other from one queue, each answered exactly once.

An item that failed stays unanswered while it waits, so that it takes a place of the prefetch: when all of them wait,
nothing more comes, which is what is wanted while a provider is down. `reject` counts as a failed attempt. `nack` says
"not now"; before RabbitMQ 4.3 that counts as well, so there an item that was postponed stays with this consumer.
"""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import structlog
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue

from aldis.adapters.rabbitmq import topology
from aldis.adapters.rabbitmq.link import Link
from aldis.adapters.rabbitmq.subscription import Subscription, open_subscription
from aldis.domain.errors import Unavailable
from aldis.domain.work import Verdict, judge, wait_seconds
from aldis.ports.broker import Handler
from aldis.ports.clock import Clock
from aldis.telemetry import tasks
from aldis.telemetry.metrics import Metrics

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class Consumer:
    """Consumes one queue for one handler."""

    def __init__(
        self,
        link: Link,
        *,
        queue: str,
        handler: Handler,
        clock: Clock,
        metrics: Metrics,
        queue_items: int,
        prefetch: int,
    ) -> None:
        self._link = link
        self._queue = queue
        self._handler = handler
        self._clock = clock
        self._metrics = metrics
        self._queue_items = queue_items
        self._prefetch = prefetch
        self._subscription: Subscription | None = None
        self._is_ending = False

    @asynccontextmanager
    async def running(self, drain_seconds: float) -> AsyncGenerator[None]:
        """Work while the block is open; then finish what is in hand, for at most `drain_seconds`."""
        worker = tasks.spawn(self._run(), f"consume:{self._queue}")
        try:
            yield
        finally:
            self._is_ending = True
            if self._subscription is not None:
                self._subscription.end()
                await asyncio.wait({worker}, timeout=drain_seconds)
            await tasks.cancel_and_wait(worker)

    async def _run(self) -> None:
        losses = 0
        while not self._is_ending:
            try:
                wire = await self._link.wait_wire()
                async with open_subscription(wire, self._prepare, self._prefetch) as self._subscription:
                    losses = 0
                    await self._work(self._subscription)
            except Unavailable as error:
                log.warning("consumer_lost", queue=self._queue, reason=error.message)
            self._subscription = None
            if not self._is_ending:
                await self._clock.sleep(wait_seconds(losses, random.random()))  # noqa: S311 - jitter
                losses += 1

    async def _prepare(self, channel: AbstractChannel) -> AbstractQueue:
        wire = self._link.wire()
        await topology.declare_work(wire.connection, self._queue, self._queue_items)
        return await channel.get_queue(topology.work_queue(self._queue), ensure=False)

    async def _work(self, subscription: Subscription) -> None:
        waiting: set[asyncio.Task[None]] = set()
        try:
            while (delivery := await subscription.next()) is not None:
                verdict = await self._handle(delivery, subscription)
                if verdict is not None:
                    back = tasks.spawn(self._give_back(delivery, subscription, verdict), f"retry:{self._queue}")
                    waiting.add(back)
                    back.add_done_callback(waiting.discard)
        finally:
            await tasks.cancel_and_wait(*waiting)

    async def _handle(self, delivery: AbstractIncomingMessage, subscription: Subscription) -> Verdict | None:
        """Work on an item and answer; the verdict on one whose answer has to wait."""
        try:
            await self._handler(delivery.body)
        except Exception as error:  # noqa: BLE001 - whatever it is, the item's fate is decided here
            return await self._judge(delivery, subscription, error)
        is_settled = await subscription.settle(delivery.ack())
        self._count("done" if is_settled else "lost")
        return None

    async def _judge(
        self, delivery: AbstractIncomingMessage, subscription: Subscription, error: Exception
    ) -> Verdict | None:
        failures = _failures(delivery)
        verdict = judge(error, failures)
        self._count(verdict.value)
        if verdict is Verdict.DEAD:
            log.error("item_dead", queue=self._queue, failures=failures, reason=type(error).__name__)
            await subscription.settle(delivery.reject(requeue=False))
            return None
        self._log_failure(verdict, error, failures)
        return verdict

    async def _give_back(self, delivery: AbstractIncomingMessage, subscription: Subscription, verdict: Verdict) -> None:
        await self._clock.sleep(wait_seconds(_failures(delivery), random.random()))  # noqa: S311 - jitter
        if verdict is Verdict.FAILED:
            await subscription.settle(delivery.reject(requeue=True))
        elif subscription.is_nack_free:
            await subscription.settle(delivery.nack(requeue=True))
        else:
            subscription.again(delivery)

    def _log_failure(self, verdict: Verdict, error: Exception, failures: int) -> None:
        """With the traceback the first time that an item fails."""
        is_first = verdict is Verdict.FAILED and failures == 0
        reason, shown = type(error).__name__, error if is_first else None
        log.warning("item_failed", queue=self._queue, verdict=verdict.value, reason=reason, exc_info=shown)

    def _count(self, outcome: str) -> None:
        self._metrics.broker_items.labels(queue=self._queue, outcome=outcome).inc()


def _failures(delivery: AbstractIncomingMessage) -> int:
    """How often it was given back before, as a quorum queue counts."""
    count = delivery.headers.get("x-delivery-count", 0)
    return count if isinstance(count, int) else 0
