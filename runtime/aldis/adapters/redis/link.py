"""The way to Redis: every call has a timeout, its failures become `Unavailable`, and while Redis is away nobody waits.

The first call that fails closes the way: all others fail at once, so that a hanging Redis costs one timeout and not
one for each message. A task of its own knocks, with growing pauses and full jitter, and opens the way when Redis
answers. In a Cluster all primaries must answer: that is simpler than to be half away, and all this may be lost anyway.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
from redis.asyncio import RedisCluster
from redis.exceptions import ClusterError, ReadOnlyError, RedisClusterException, RedisError, ResponseError

from aldis.adapters.redis.address import RedisAddress, parse_address
from aldis.adapters.redis.clients import Client, close_client, make_client
from aldis.adapters.redis.keyspace import Keyspace
from aldis.domain.errors import Unavailable
from aldis.telemetry.metrics import Metrics
from aldis.telemetry.tasks import cancel_and_wait, spawn

CALL_SECONDS = 0.5  # a call takes under a millisecond; who waits for one is about to answer a sender
KNOCK_SECONDS = 3.0  # a Cluster or the Sentinels may first have to tell who is the new primary
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
CONNECTIONS = 8  # of one process; calls are gathered, so there are few at a time

STEADY_SECONDS = 5.0  # who was back for less is not knocked for as eagerly again

FAILURES = (RedisError, RedisClusterException, OSError, TimeoutError)
SIGNS_OF_ABSENCE = (ReadOnlyError, ClusterError)  # answers that say: not here, or not now

Command = tuple[str | bytes | int, ...]

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class RedisLink:
    """One process's way to Redis. Make it with `open_redis`."""

    def __init__(self, address: RedisAddress, *, prefix: str, metrics: Metrics, call_seconds: float) -> None:
        self.keyspace = Keyspace(prefix, is_cluster=address.kind == "cluster")
        self._address = address
        self._call_seconds = call_seconds
        self._client = make_client(address, seconds=call_seconds, connections=CONNECTIONS + 1)  # one is to knock with
        self._free = asyncio.Semaphore(CONNECTIONS)
        self._answered = metrics.redis_calls.labels(outcome="answered")
        self._failed = metrics.redis_calls.labels(outcome="failed")
        self._refused = metrics.redis_calls.labels(outcome="refused")
        self._knocking: asyncio.Task[None] | None = None
        self._pause = FIRST_PAUSE
        self._back_at = 0.0
        self._is_closed = False

    @property
    def is_away(self) -> bool:
        """Whether calls fail at once, because Redis has not answered."""
        return self._knocking is not None

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        """Run commands in one round trip, those of one key in order; their replies.

        Raises `Unavailable` unless each was answered well; any of them may have been carried out all the same.
        """
        if self._knocking is not None or self._is_closed:
            self._refused.inc()
            raise Unavailable("Redis is away")
        try:
            async with asyncio.timeout(self._call_seconds), self._free:
                replies = await _run(self._client, commands)
        except FAILURES as error:
            self._failed.inc()
            if isinstance(error, SIGNS_OF_ABSENCE) or not isinstance(error, ResponseError):
                self._miss(error)
            raise Unavailable(f"Redis did not answer: {reason_of(error)}") from error
        self._answered.inc()
        return replies

    async def check(self) -> None:
        """Ask for a sign of life, for probes. Raises `Unavailable`."""
        await self.run([("PING",)])

    def make_reader(self, *, seconds: float) -> Client:
        """A client for one call at a time, which the caller bounds to `seconds`; who also closes it."""
        return make_client(self._address, seconds=seconds, connections=1)

    async def close(self) -> None:
        """Wait for the calls under way, then close the connections: a call that lost its own would open another."""
        self._is_closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(self._call_seconds):
                for _ in range(CONNECTIONS):
                    await self._free.acquire()
        if self._knocking is not None:
            await cancel_and_wait(self._knocking)
        await close_client(self._client)

    def _miss(self, error: Exception) -> None:
        """Close the way; a second call that fails at the same time finds it closed."""
        if self._knocking is None and not self._is_closed:
            log.warning("redis_away", reason=reason_of(error))
            self._knocking = spawn(self._knock(), "redis-knock")

    async def _knock(self) -> None:
        since = time.monotonic()
        if since - self._back_at > STEADY_SECONDS:
            self._pause = FIRST_PAUSE
        while not await self._is_there():
            pass
        self._back_at = time.monotonic()
        self._knocking = None
        log.info("redis_back", seconds=round(self._back_at - since, 1))

    async def _is_there(self) -> bool:
        """Whether it answers after a pause, on a new connection: an old one may lead to what is no primary any more."""
        await asyncio.sleep(self._pause * random.random())  # noqa: S311 - spreads the processes
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        try:
            async with asyncio.timeout(KNOCK_SECONDS):
                await _ping(self._client)
        except FAILURES:
            return False
        return True


def reason_of(error: Exception) -> str:
    """What an error is, without its text: the driver puts what was sent into it."""
    return type(error).__name__


async def _run(client: Client, commands: Sequence[Command]) -> list[Any]:
    if len(commands) == 1:
        return [await client.execute_command(*commands[0])]
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    replies = await pipeline.execute(raise_on_error=False)  # else the driver puts the command into the error
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


async def _ping(client: Client) -> None:
    """Ask for a sign of life, of all primaries of a Cluster, else on a new connection."""
    if isinstance(client, RedisCluster):
        await client.ping(target_nodes=RedisCluster.PRIMARIES)
    else:
        await client.connection_pool.disconnect(inuse_connections=False)
        await client.ping()


@asynccontextmanager
async def open_redis(
    url: str, *, metrics: Metrics, prefix: str = "aldis", call_seconds: float = CALL_SECONDS
) -> AsyncGenerator[RedisLink]:
    """The way to the Redis at `url`, which need not be there. Raises `ValueError` for a URL that is none of ours."""
    link = RedisLink(parse_address(url), prefix=prefix, metrics=metrics, call_seconds=call_seconds)
    try:
        yield link
    finally:
        await link.close()
