"""What every token bank promises (`aldis.ports.token_bank`)."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aldis.adapters.memory.clock import DrivenClock
from aldis.adapters.memory.token_bank import MemoryTokenBank
from aldis.adapters.redis.token_bank import RedisTokenBank
from aldis.ports.clock import Clock
from aldis.ports.limiter import Rate
from aldis.ports.token_bank import Lease, TokenBank
from contract.patient_redis import open_patient_redis
from servers.redis import RedisServer

Make = Callable[[Clock, RedisServer], AbstractAsyncContextManager[TokenBank]]


@asynccontextmanager
async def make_memory(clock: Clock, _: RedisServer) -> AsyncIterator[TokenBank]:
    yield MemoryTokenBank(clock=clock)


@asynccontextmanager
async def make_redis(clock: Clock, server: RedisServer) -> AsyncIterator[TokenBank]:
    """The script counts by the clock that it is given; all else of it is what Redis's own clock gets."""
    async with open_patient_redis(server.url, prefix=uuid.uuid4().hex) as link:
        yield RedisTokenBank(link, clock=clock)


ADAPTERS: dict[str, Make] = {"memory": make_memory, "redis": make_redis}
every_adapter = pytest.mark.parametrize("make", ADAPTERS.values(), ids=ADAPTERS)
rates = st.builds(Rate, st.floats(0.01, 5000), st.integers(1, 50))
steps = st.lists(st.tuples(st.just("lease"), st.integers(1, 80)) | st.tuples(st.just("pause"), st.integers(0, 5000)))


@every_adapter
@settings(deadline=None)
@given(rate=rates, steps=steps)
async def test_never_more_than_burst_and_rate_allow(
    make: Make, redis_server: RedisServer, rate: Rate, steps: list[tuple[str, int]]
) -> None:
    """Between any two moments the leases of a key are at most `burst + rate * t`, and none is for more than asked."""
    clock = DrivenClock()
    granted: list[tuple[int, int]] = []

    async with make(clock, redis_server) as bank:
        for step, amount in steps:
            if step == "pause":
                await clock.advance(amount / 1000)
                continue
            lease = await bank.lease("anna", rate, amount)
            assert 0 <= lease.granted <= amount
            granted.append((clock.now_ms(), lease.granted))

    for i, (start, _) in enumerate(granted):
        for j, (end, _) in enumerate(granted[i:], i):
            allowed = rate.burst + Fraction(rate.per_second) * (end - start) / 1000
            assert sum(tokens for _, tokens in granted[i : j + 1]) <= allowed


@every_adapter
async def test_what_is_there_is_given_and_the_wait_is_told(make: Make, redis_server: RedisServer) -> None:
    """A lease may be for a part, and says when there is more; after that wait there is."""
    clock, rate = DrivenClock(), Rate(per_second=10, burst=5)

    async with make(clock, redis_server) as bank:
        assert await bank.lease("anna", rate, 3) == Lease(3, 0)
        assert await bank.lease("anna", rate, 3) == Lease(2, 100)
        assert await bank.lease("anna", rate, 3) == Lease(0, 100)
        await clock.advance(0.099)
        assert await bank.lease("anna", rate, 3) == Lease(0, 1)
        await clock.advance(0.001)
        assert await bank.lease("anna", rate, 3) == Lease(1, 100)


@every_adapter
async def test_keys_do_not_share(make: Make, redis_server: RedisServer) -> None:
    """Each key has a bucket of its own."""
    rate = Rate(per_second=1, burst=1)

    async with make(DrivenClock(), redis_server) as bank:
        await bank.lease("anna", rate, 1)

        assert (await bank.lease("bob", rate, 1)).granted == 1


@every_adapter
async def test_leases_that_are_asked_for_at_once_share_one_bucket(make: Make, redis_server: RedisServer) -> None:
    """However many ask together, for one key and for others, each gets his own answer and none too much."""
    rate = Rate(per_second=1, burst=10)

    async with make(DrivenClock(), redis_server) as bank:
        leases = await asyncio.gather(*(bank.lease(f"user-{i % 3}", rate, 1 + i % 4) for i in range(60)))

    for user in range(3):
        assert sum(lease.granted for lease in leases[user::3]) == 10


async def test_redis_counts_by_its_own_clock(redis_url: str) -> None:
    """Two processes that share a bucket get no more than it holds, by the time that passes at the server."""
    rate = Rate(per_second=200, burst=20)
    async with (
        open_patient_redis(redis_url) as one,
        open_patient_redis(redis_url) as two,
    ):
        banks = [RedisTokenBank(link) for link in (one, two)]
        started, granted = time.monotonic(), 0

        while time.monotonic() - started < 0.5:
            leases = await asyncio.gather(*(bank.lease("anna", rate, 5) for bank in banks))
            granted += sum(lease.granted for lease in leases)

    assert 20 < granted <= 20 + 200 * (time.monotonic() - started)
