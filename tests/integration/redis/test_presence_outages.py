"""Who is connected, as several gateways see it, while nodes die and Redis is flushed, paused or slow."""

import asyncio
import time

import pytest

from aldis.adapters.redis.link import CALL_SECONDS
from aldis.adapters.redis.presence import RedisPresence
from aldis.domain.errors import Unavailable
from aldis.domain.ids import UserId
from integration.redis.processes import ANNA, BOB, RedisProcess, open_process, wait_for, wait_until
from servers.guard import Guard
from servers.redis import RedisServer

MANY = [UserId(f"user-{number}") for number in range(10_000)]


async def at(presence: RedisPresence, *users: UserId) -> dict[UserId, set[str]]:
    return {user: set(nodes) for user, nodes in (await presence.nodes_of(users)).items()}


async def text_of(process: RedisProcess, user: UserId) -> bytes | None:
    """What is stored for a user."""
    (text,) = await process.link.run([("GET", process.link.keyspace.spread("connected", user))])
    assert text is None or isinstance(text, bytes)
    return text


async def test_two_processes_see_each_other(redis_url: str) -> None:
    """A registration that returned is in the next answer of every process."""
    async with open_process(redis_url) as one, open_process(redis_url) as two:
        for number in range(50):
            user = UserId(f"user-{number}")
            await one.presence.register("gw-1", [user])
            assert await at(two.presence, user) == {user: {"gw-1"}}
            await two.presence.register("gw-2", [user])
            assert await at(one.presence, user) == {user: {"gw-1", "gw-2"}}
            await one.presence.withdraw("gw-1", [user])
            assert await at(two.presence, user) == {user: {"gw-2"}}


async def test_many_at_once_each_get_their_own_answer(redis_url: str) -> None:
    """Registrations, withdrawals and questions that share round trips do not mix."""
    async with open_process(redis_url) as one:

        async def come_and_go(user: UserId) -> None:
            await one.presence.register("gw-1", [user])
            assert await at(one.presence, user) == {user: {"gw-1"}}
            await one.presence.watch("gw-2", [user])
            await one.presence.withdraw("gw-1", [user])
            assert await at(one.presence, user) == {}
            assert await one.presence.watching([user]) == {user: ("gw-2",)}

        await asyncio.gather(*(come_and_go(user) for user in MANY[:300]))


async def test_a_node_that_dies_is_seen_within_seconds(redis_url: str) -> None:
    """Nobody has to withdraw its users; what is left of it in their texts goes when it is come across."""
    async with open_process(redis_url) as one:
        async with open_process(redis_url, lease_seconds=0.5) as dying:
            await dying.presence.register("gw-2", [ANNA, BOB])
            await one.presence.register("gw-1", [ANNA])
            assert await at(one.presence, ANNA, BOB) == {ANNA: {"gw-1", "gw-2"}, BOB: {"gw-2"}}

        async def is_gone() -> bool:
            return await at(one.presence, ANNA, BOB) == {ANNA: {"gw-1"}}

        seconds = await wait_for(is_gone)
        (removed,) = await one.link.run([("ZREMRANGEBYSCORE", one.link.keyspace.leases(), 0, int(time.time() * 1000))])

        async def is_clean() -> bool:
            await is_gone()
            return await text_of(one, BOB) is None and b"gw-2" not in (await text_of(one, ANNA) or b"")

        await wait_for(is_clean)
    assert removed == 1
    assert seconds < 2
    print(f"a dead node with a lease of 0.5 s was ignored after {seconds:.2f} s")


async def test_a_lease_that_ran_out_wakes_with_all_its_users(redis_url: str) -> None:
    """A gateway that was held up, or a Redis that was away, need not register everybody anew."""
    async with open_process(redis_url) as one, open_process(redis_url, lease_seconds=0.3) as two:
        await two.presence.register("gw-2", [ANNA])

        async def is_gone() -> bool:
            return not await at(one.presence, ANNA)

        await wait_for(is_gone)

        assert await two.presence.renew("gw-2")
        assert await at(two.presence, ANNA) == {ANNA: {"gw-2"}}


async def test_a_flush_is_told_by_the_next_renewal(redis_url: str) -> None:
    """Then a node registers its users again, and they are found by all."""
    async with open_process(redis_url) as one, open_process(redis_url) as two:
        await one.presence.register("gw-1", [ANNA])
        assert await at(two.presence, ANNA) == {ANNA: {"gw-1"}}

        await two.link.run([("FLUSHDB",)])

        assert await at(two.presence, ANNA) == {}
        assert not await one.presence.renew("gw-1")
        await one.presence.register("gw-1", [ANNA])
        assert await one.presence.renew("gw-1")
        assert await at(two.presence, ANNA) == {ANNA: {"gw-1"}}


async def test_a_paused_redis_is_unknown_within_the_timeout_and_at_once_thereafter(guard: Guard) -> None:
    """`Unavailable`, which is not offline: one caller waits for the timeout, the others for nothing."""
    with RedisServer(guard=guard) as server:
        async with open_process(server.url, call_seconds=CALL_SECONDS) as one:
            await one.presence.register("gw-1", [ANNA])
            server.pause()

            first, second = await seconds_to_fail(one.presence), await seconds_to_fail(one.presence)
            server.resume()
            back = await wait_until(lambda: not one.link.is_away)

            assert await at(one.presence, ANNA) == {ANNA: {"gw-1"}}

    assert 0.4 < first < 5
    assert second < CALL_SECONDS
    print(
        f"a paused Redis: Unavailable after {first:.2f} s, then after {second * 1000:.1f} ms; back after {back:.2f} s"
    )


async def seconds_to_fail(presence: RedisPresence) -> float:
    started = time.monotonic()
    with pytest.raises(Unavailable):
        await presence.nodes_of([ANNA])
    return time.monotonic() - started


async def test_a_restart_takes_the_registry_and_renewals_tell(guard: Guard) -> None:
    """A registry without anything in it says so; it is filled again within a renewal."""
    with RedisServer(guard=guard) as server:
        async with open_process(server.url, call_seconds=CALL_SECONDS) as one:
            await one.presence.register("gw-1", [ANNA])
            await asyncio.to_thread(server.restart)
            told: list[bool] = []

            async def is_told() -> bool:
                try:
                    told.append(await one.presence.renew("gw-1"))
                except Unavailable:
                    return False
                return True

            await wait_for(is_told)
            await one.presence.register("gw-1", [ANNA])

            assert told == [False]
            assert await at(one.presence, ANNA) == {ANNA: {"gw-1"}}


async def test_texts_are_kept_by_renewals(redis_url: str) -> None:
    """What a killed node has left goes within an hour; what is still meant is kept, a few texts at a time."""
    async with open_process(redis_url) as one:
        await one.presence.register("gw-1", MANY[:100])
        keys = [one.link.keyspace.spread("connected", user) for user in MANY[:100]]
        await one.link.run([("PEXPIRE", key, 60_000) for key in keys])

        async def is_kept() -> bool:
            assert await one.presence.renew("gw-1")
            return any(ms > 60_000 for ms in await one.link.run([("PTTL", key) for key in keys]))

        await wait_for(is_kept)


async def test_ten_thousand_users_are_looked_up_at_once(redis_url: str) -> None:
    """In a few commands, whoever they are; and few are looked up in one."""
    async with open_process(redis_url) as one, open_process(redis_url) as two:
        started = time.perf_counter()
        await one.presence.register("gw-1", MANY[:6_000])
        await two.presence.register("gw-2", MANY[4_000:8_000])
        registered = time.perf_counter() - started

        started = time.perf_counter()
        found = await one.presence.nodes_of(MANY)
        looked = time.perf_counter() - started

        started = time.perf_counter()
        for number in range(200):
            await one.presence.nodes_of(MANY[number : number + 2])
        few = (time.perf_counter() - started) / 200

    assert len(found) == 8_000
    assert set(found[MANY[5_000]]) == {"gw-1", "gw-2"}
    assert looked < 2
    print(
        f"presence: 10,000 registered in {registered * 1000:.0f} ms, 10,000 looked up in {looked * 1000:.0f} ms, "
        f"2 in {few * 1e6:.0f} µs"
    )
