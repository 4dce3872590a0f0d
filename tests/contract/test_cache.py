"""What every cache promises (`aldis.ports.cache`)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from aldis.adapters.memory.cache import ENTRY_BYTES, MemoryCache
from aldis.adapters.memory.clock import DrivenClock
from aldis.adapters.redis.cache import RedisCache
from aldis.ports.cache import Cache
from contract.patient_redis import open_patient_redis

TTL = 0.2  # seconds; short, as an adapter with a server of its own has to wait it out
LetPass = Callable[[float], Awaitable[None]]


@asynccontextmanager
async def open_memory(_: pytest.FixtureRequest) -> AsyncIterator[tuple[Cache, LetPass]]:
    clock = DrivenClock()
    yield MemoryCache(clock=clock), clock.advance


@asynccontextmanager
async def open_on_redis(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Cache, LetPass]]:
    async with open_patient_redis(request.getfixturevalue("redis_url")) as link:
        yield RedisCache(link), asyncio.sleep  # its time is that of another program


ADAPTERS = {"memory": open_memory, "redis": open_on_redis}


@pytest.fixture(params=ADAPTERS)
async def opened(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Cache, LetPass]]:
    async with ADAPTERS[request.param](request) as opened:
        yield opened


@pytest.fixture
async def cache(opened: tuple[Cache, LetPass]) -> Cache:
    return opened[0]


@pytest.fixture
async def let_pass(opened: tuple[Cache, LetPass]) -> LetPass:
    return opened[1]


async def test_a_value_is_found_again(cache: Cache) -> None:
    """A value comes back byte for byte; an unknown key is None."""
    await cache.put("head:anna", b"\x00\xff", TTL)

    assert await cache.get("head:anna") == b"\x00\xff"
    assert await cache.get("head:bob") is None


async def test_a_value_is_never_older_than_its_ttl(cache: Cache, let_pass: LetPass) -> None:
    """After `ttl` seconds a value is gone."""
    await cache.put("head:anna", b"1", TTL)

    await let_pass(TTL)

    assert await cache.get("head:anna") is None


async def test_the_newest_value_and_ttl_count(cache: Cache, let_pass: LetPass) -> None:
    """Putting a key again replaces its value and starts a new age."""
    await cache.put("head:anna", b"1", TTL)
    await cache.put("head:anna", b"2", 100 * TTL)

    await let_pass(TTL)

    assert await cache.get("head:anna") == b"2"


async def test_an_invalidated_value_is_gone(cache: Cache) -> None:
    """`invalidate` is seen by the next read, and fine for an unknown key."""
    await cache.put("head:anna", b"1", TTL)

    await cache.invalidate("head:anna")
    await cache.invalidate("head:bob")

    assert await cache.get("head:anna") is None


@pytest.mark.parametrize("ttl", [0, -1])
async def test_a_value_without_a_life_is_not_kept(cache: Cache, ttl: float) -> None:
    """No ttl, no value: an older one of the key is gone as well."""
    await cache.put("head:anna", b"1", TTL)
    await cache.put("head:anna", b"2", ttl)

    assert await cache.get("head:anna") is None


async def test_the_memory_cache_drops_what_was_read_longest_ago() -> None:
    """When it is full the least recently used value leaves; what cannot fit at all is not kept."""
    cache = MemoryCache(clock=DrivenClock(), max_bytes=2 * (ENTRY_BYTES + 2))
    await cache.put("a", b"1", TTL)
    await cache.put("b", b"2", TTL)
    await cache.get("a")

    await cache.put("c", b"3", TTL)
    await cache.put("d", b"4" * 10_000, TTL)

    assert [await cache.get(key) for key in "abcd"] == [b"1", None, b"3", None]
