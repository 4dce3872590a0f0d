"""Hot copies while Redis is away: never wrong, at worst not there."""

import asyncio

from aldis.adapters.redis.cache import RedisCache
from aldis.adapters.redis.link import CALL_SECONDS
from integration.redis.processes import open_process, wait_until
from servers.guard import Guard
from servers.redis import RedisServer


async def test_without_redis_nothing_is_found_and_nothing_fails() -> None:
    """Who asks goes to the truth."""
    async with open_process("redis://127.0.0.1:1") as one:
        cache = RedisCache(one.link)
        await cache.put("a", b"1", 60)

        assert await cache.get("a") is None
        await cache.invalidate("a")


async def test_what_was_invalidated_while_redis_hung_stays_so(guard: Guard) -> None:
    """The old value is still there when Redis comes back, and is never read again; nor is one that was replaced."""
    with RedisServer(guard=guard) as server:
        async with open_process(server.url, call_seconds=CALL_SECONDS) as one:
            cache = RedisCache(one.link)
            for key in ("invalidated", "replaced", "untouched"):
                await cache.put(key, b"old", 60)
            server.pause()
            await asyncio.gather(cache.invalidate("invalidated"), cache.put("replaced", b"new", 60))
            assert await cache.get("untouched") is None
            server.resume()
            await wait_until(lambda: not one.link.is_away)

            assert await cache.get("invalidated") is None
            assert await cache.get("replaced") in {None, b"new"}
            assert await cache.get("untouched") == b"old"


async def test_more_than_can_be_remembered_makes_blind(guard: Guard) -> None:
    """Rather nothing than something stale."""
    with RedisServer(guard=guard) as server:
        async with open_process(server.url, call_seconds=CALL_SECONDS) as one:
            cache = RedisCache(one.link, owed_keys=2)
            await cache.put("kept", b"1", 60)
            server.pause()
            for number in range(4):
                await cache.invalidate(f"key-{number}")
            server.resume()
            await wait_until(lambda: not one.link.is_away)

            assert await cache.get("kept") is None


async def test_what_one_process_invalidates_is_gone_for_all(redis_url: str) -> None:
    """They share one copy."""
    async with open_process(redis_url) as one, open_process(redis_url) as two:
        await RedisCache(one.link).put("a", b"1", 60)
        assert await RedisCache(two.link).get("a") == b"1"

        await RedisCache(two.link).invalidate("a")

        assert await RedisCache(one.link).get("a") is None
