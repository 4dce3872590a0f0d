"""Gateways in small, for tests: what one process holds of Redis, and a listener that remembers."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aldis.adapters.redis.backplane import RedisBackplane, open_redis_backplane
from aldis.adapters.redis.link import RedisLink, open_redis
from aldis.adapters.redis.presence import RedisPresence
from aldis.domain.ids import UserId
from aldis.domain.streams import STANDARD, Batch, Event, Source
from aldis.ports.backplane import Ring
from aldis.telemetry.metrics import Metrics

PATIENCE_SECONDS = 15.0
POLL_SECONDS = 0.01
ANNA, BOB = UserId("anna"), UserId("bob")


@dataclass(frozen=True, slots=True)
class RedisProcess:
    """What one process has opened."""

    link: RedisLink
    backplane: RedisBackplane
    presence: RedisPresence
    metrics: Metrics

    def rings(self, outcome: str) -> int:
        """How many rings have ended so."""
        return int(self.metrics.registry.get_sample_value("aldis_rings_total", {"outcome": outcome}) or 0)


@asynccontextmanager
async def open_process(
    url: str, *, lease_seconds: float = 6.0, call_seconds: float = PATIENCE_SECONDS
) -> AsyncIterator[RedisProcess]:
    """One process; it need not find a server. Unless that is the matter, it has patience with a busy machine."""
    metrics = Metrics()
    async with (
        open_redis(url, metrics=metrics, call_seconds=call_seconds) as link,
        open_redis_backplane(link, metrics=metrics) as backplane,
    ):
        yield RedisProcess(link, backplane, RedisPresence(link, lease_seconds=lease_seconds), metrics)


@dataclass(slots=True)
class Ears:
    """A listener that remembers the positions it has heard, in order."""

    heard: list[int] = field(default_factory=list)
    others: list[Ring] = field(default_factory=list)

    def __call__(self, rings: Sequence[Ring]) -> None:
        for ring in rings:
            if isinstance(ring, Batch):
                self.heard += [event.pos for event in ring.events]
            else:
                self.others.append(ring)


def build_batch(pos: int, *, source: Source = STANDARD, size: int = 100) -> Batch:
    """A batch of one event."""
    return Batch(ANNA, source, (Event(pos, b"x" * size),))


async def wait_until(condition: Callable[[], bool], *, seconds: float = PATIENCE_SECONDS) -> float:
    """Wait for a condition; how long it took."""
    started = time.monotonic()
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(POLL_SECONDS)
    return time.monotonic() - started


async def wait_for(condition: Callable[[], Awaitable[bool]], *, seconds: float = PATIENCE_SECONDS) -> float:
    """The same, for a condition that must be asked for."""
    started = time.monotonic()
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(POLL_SECONDS)
    return time.monotonic() - started
