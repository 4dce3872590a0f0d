"""The ports of a process: which adapter each is, told by the schemes of the settings' URLs.

Without URLs of servers all is in this process: SQLite, and memory for the rest. The two kinds mix, so that a developer
may try one server at a time; the roles of a cluster insist on all of them.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from aldis.adapters.memory.backplane import MemoryBackplane
from aldis.adapters.memory.broker import MemoryBroker
from aldis.adapters.memory.clock import SystemClock
from aldis.adapters.memory.limiter import MemoryLimiter
from aldis.adapters.memory.presence import MemoryPresence
from aldis.adapters.rabbitmq.broker import RabbitBroker, open_rabbit_broker
from aldis.adapters.redis.backplane import open_redis_backplane
from aldis.adapters.redis.link import RedisLink, open_redis
from aldis.adapters.redis.presence import RedisPresence
from aldis.adapters.redis.token_bank import RedisTokenBank
from aldis.adapters.sql.store import SqlStore, open_sql_store
from aldis.bootstrap.health import Aged
from aldis.domain.amqp_address import parse_amqp_address
from aldis.ports.backplane import Backplane
from aldis.ports.broker import Broker
from aldis.ports.limiter import Limiter
from aldis.ports.presence import Presence
from aldis.services.leasing_limiter import LeasingLimiter
from aldis.settings import InvalidSettings, Settings
from aldis.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """All that a process reaches the outside through."""

    store: SqlStore
    broker: Broker
    backplane: Backplane
    presence: Presence
    limiter: Limiter
    local_limiter: Limiter  # of what this process alone has to bear
    clock: SystemClock
    metrics: Metrics
    aged: Mapping[str, Aged]  # the servers besides the database, by what probes call them


@dataclass(frozen=True, slots=True)
class _Doorbells:
    """What may be lost at any time: where users are, how their gateways are rung, how fast callers go."""

    backplane: Backplane
    presence: Presence
    limiter: Limiter
    link: RedisLink | None = None


@asynccontextmanager
async def open_ports(settings: Settings) -> AsyncGenerator[Ports]:
    """Open them all; they close in reverse order."""
    clock, metrics = SystemClock(), Metrics()
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(
            open_sql_store(
                settings.database_url,
                now_ms=clock.now_ms(),
                writers=settings.database_writers,
                read_url=settings.database_read_url,
                may_migrate=settings.database_migrate,
            )
        )
        doorbells = (
            await _redis_doorbells(stack, settings.redis_url.get_secret_value(), clock, metrics)
            if settings.redis_url is not None
            else _memory_doorbells(clock, metrics)
        )
        broker = await _open_broker(stack, settings, clock, metrics)
        aged: dict[str, Aged] = {"broker": broker} if isinstance(broker, RabbitBroker) else {}
        yield Ports(
            store=store,
            broker=broker,
            backplane=doorbells.backplane,
            presence=doorbells.presence,
            limiter=doorbells.limiter,
            local_limiter=MemoryLimiter(clock=clock),
            clock=clock,
            metrics=metrics,
            aged=aged | ({"redis": doorbells.link} if doorbells.link is not None else {}),
        )


async def _open_broker(
    stack: AsyncExitStack, settings: Settings, clock: SystemClock, metrics: Metrics
) -> MemoryBroker | RabbitBroker:
    if settings.rabbitmq_url is None:
        return MemoryBroker(clock=clock, metrics=metrics)
    address = parse_amqp_address(settings.rabbitmq_url.get_secret_value())
    return await stack.enter_async_context(open_rabbit_broker(address, clock=clock, metrics=metrics))


async def _redis_doorbells(stack: AsyncExitStack, url: str, clock: SystemClock, metrics: Metrics) -> _Doorbells:
    link = await enter_redis(stack, url, metrics)
    backplane = await stack.enter_async_context(open_redis_backplane(link, metrics=metrics))
    limiter = LeasingLimiter(bank=RedisTokenBank(link), local=MemoryLimiter(clock=clock), clock=clock)
    return _Doorbells(backplane, RedisPresence(link), limiter, link)


async def enter_redis(stack: AsyncExitStack, url: str, metrics: Metrics) -> RedisLink:
    """The way to Redis, for as long as `stack` is open. Raises `InvalidSettings` for a URL that is none."""
    try:
        return await stack.enter_async_context(open_redis(url, metrics=metrics))
    except ValueError as error:
        raise InvalidSettings(f"ALDIS_REDIS_URL: {error}") from error


def _memory_doorbells(clock: SystemClock, metrics: Metrics) -> _Doorbells:
    return _Doorbells(MemoryBackplane(metrics=metrics), MemoryPresence(), MemoryLimiter(clock=clock))
