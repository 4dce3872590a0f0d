"""The loops of a worker: look, do what is there, sleep when there was nothing.

A failed round is logged and tried again; what it had leased comes back by itself.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial

import structlog

from aldis.domain.errors import AldisError
from aldis.domain.retry import RetryPolicies
from aldis.ports.broker import Broker
from aldis.ports.clock import Clock
from aldis.ports.store import Store
from aldis.services import erase_user, sweep
from aldis.services.hand_out_rings import QUEUES
from aldis.services.ring import Ringer
from aldis.services.send_scheduled import ScheduledSender
from aldis.telemetry.metrics import Metrics
from aldis.telemetry.tasks import cancel_and_wait, spawn
from aldis.workers.delivering import Delivering

RELAY_SECONDS = 0.2  # how long events may wait to leave; each round costs a commit
RELAY_IDLE_SECONDS = 5.0  # between looks when nothing was stored here: rows that another process left behind
RETIRE_SECONDS = 60.0
KEEP_UP_SECONDS = 3600.0  # what it makes is needed weeks later
COUNT_SECONDS = 10.0  # between counts of what waits for its time
ERASE_SECONDS = 1.0  # until an erasure that somebody asked for begins
FAILED_SECONDS = 5.0

log = structlog.get_logger(__name__)


@asynccontextmanager
async def run_workers(
    *,
    store: Store,
    broker: Broker,
    ringer: Ringer,
    scheduled: ScheduledSender,
    clock: Clock,
    metrics: Metrics,
    stored: asyncio.Event,
    retention_ms: int,
    policies: Callable[[], RetryPolicies],
) -> AsyncGenerator[None]:
    """Run every job of a worker while the block is open; `stored` is set whenever this process fills the outbox."""
    delivering = Delivering(
        store=store,
        broker=broker,
        ringer=ringer,
        clock=clock,
        metrics=metrics,
        policies=policies,
        stored=stored,
    )

    async def relay() -> int:
        with suppress(TimeoutError):
            async with asyncio.timeout(RELAY_IDLE_SECONDS):
                await stored.wait()
        stored.clear()
        total = 0
        while (rows := await sweep.relay_outbox(store=store, broker=broker, clock=clock, metrics=metrics)) > 0:
            total += rows
            if rows < sweep.RELAYED:
                break
        return total

    rounds: dict[str, tuple[Callable[[], Awaitable[int]], float]] = {
        **delivering.rounds(),
        "relay": (relay, RELAY_SECONDS),
        "schedule": (scheduled.run_round, 0.0),  # it waits by itself
        "count": (scheduled.count, COUNT_SECONDS),
        "erase": (partial(erase_user.erase_all, store=store, ringer=ringer, clock=clock), ERASE_SECONDS),
        "keep_up": (partial(sweep.keep_up, store=store, clock=clock, retention_ms=retention_ms), KEEP_UP_SECONDS),
        "retire": (partial(sweep.retire, store=store, clock=clock, retention_ms=retention_ms), RETIRE_SECONDS),
    }
    async with AsyncExitStack() as stack:
        for queue in QUEUES.values():
            await stack.enter_async_context(broker.consume(queue, delivering.ring))
        tasks = [spawn(_repeat(name, job, pause, clock), f"worker-{name}") for name, (job, pause) in rounds.items()]
        stack.push_async_callback(cancel_and_wait, *tasks)
        yield


async def _repeat(name: str, job: Callable[[], Awaitable[int]], pause: float, clock: Clock) -> None:
    while True:
        try:
            done = await job()
        except AldisError as error:
            log.warning("worker_failed", job=name, reason=str(error))
            await clock.sleep(FAILED_SECONDS)
        else:
            if done < sweep.LIMIT:
                await clock.sleep(pause)
