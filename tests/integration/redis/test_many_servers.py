"""The same through Sentinels, whose primary is killed, and on a Cluster of three."""

import asyncio

import pytest

from aldis.adapters.redis.cache import RedisCache
from aldis.adapters.redis.link import CALL_SECONDS
from aldis.adapters.redis.token_bank import RedisTokenBank
from aldis.domain.errors import Unavailable
from aldis.domain.ids import UserId
from aldis.domain.streams import Broadcast, BroadcastEvent
from aldis.ports.limiter import Rate
from integration.redis.processes import ANNA, BOB, Ears, RedisProcess, build_batch, open_process, wait_for, wait_until
from servers.guard import Guard
from servers.redis_cluster import RedisCluster
from servers.redis_sentinel import SentinelSet

MANY = [UserId(f"user-{number}") for number in range(1_000)]
NEWS = Broadcast("bs", (BroadcastEvent(1, b"", channel="news"),))


async def use_all(one: RedisProcess, two: RedisProcess, ears: Ears) -> None:
    """Everything that goes through Redis, from one process to the other, which listens as `gw-2`."""
    await one.presence.register("gw-1", MANY)
    await two.presence.register("gw-2", MANY[:10])
    found = await two.presence.nodes_of([*MANY, ANNA])
    assert {user: set(nodes) for user, nodes in found.items()} == {
        user: {"gw-1", "gw-2"} if number < 10 else {"gw-1"} for number, user in enumerate(MANY)
    }
    await one.presence.withdraw("gw-1", MANY)
    assert await one.presence.nodes_of(MANY[9:12]) == {MANY[9]: ("gw-2",)}

    heard = len(ears.heard)
    await one.backplane.ring({"gw-2": [build_batch(pos) for pos in range(1, 501)], "gone": [build_batch(1)]})
    await one.backplane.ring_all([NEWS])
    await wait_until(lambda: len(ears.heard) == heard + 500 and NEWS in ears.others)
    assert ears.heard[heard:] == list(range(1, 501))

    bank = RedisTokenBank(one.link)
    leases = await asyncio.gather(*(bank.lease(f"key-{number % 20}", Rate(0.01, 5), 2) for number in range(60)))
    assert [sum(lease.granted for lease in leases[key::20]) for key in range(20)] == [5] * 20

    cache = RedisCache(one.link)
    for number in range(20):
        await cache.put(f"key-{number}", b"1", 60)
        assert await RedisCache(two.link).get(f"key-{number}") == b"1"


@pytest.mark.slow
async def test_another_primary_takes_over(guard: Guard) -> None:
    """Calls are `Unavailable` until the Sentinels have found one; then all goes on by itself."""
    with SentinelSet(guard=guard) as servers:
        ears = Ears()
        async with (
            open_process(servers.url, call_seconds=CALL_SECONDS) as one,
            open_process(servers.url, call_seconds=CALL_SECONDS) as two,
            two.backplane.listen("gw-2", ears),
        ):
            await use_all(one, two, ears)
            servers.primary.kill()
            with pytest.raises(Unavailable):
                await one.presence.nodes_of([ANNA])

            async def is_back() -> bool:
                try:
                    await two.presence.renew("gw-2")
                    await two.presence.register("gw-2", [BOB])
                    await one.backplane.ring({"gw-2": [build_batch(7777)]})
                    return 7777 in ears.heard and "gw-2" in (await one.presence.nodes_of([BOB])).get(BOB, ())
                except Unavailable:
                    return False

            seconds = await wait_for(is_back, seconds=30)
            assert servers.replica.ask("ROLE")[0][0] == "master"  # type: ignore[index]  # an answer of known shape
    print(f"Sentinel: another primary {seconds:.1f} s after the first was killed (it counts as gone after 1 s)")


@pytest.mark.slow
async def test_a_paused_primary_is_replaced_too(guard: Guard) -> None:
    """A machine that hangs holds its connections open; nobody waits at them for ever."""
    with SentinelSet(guard=guard) as servers:
        ears = Ears()
        async with (
            open_process(servers.url, call_seconds=CALL_SECONDS) as one,
            open_process(servers.url, call_seconds=CALL_SECONDS) as two,
            two.backplane.listen("gw-2", ears),
        ):
            await one.presence.register("gw-1", [ANNA])
            servers.primary.pause()

            async def is_back() -> bool:
                try:
                    await one.presence.renew("gw-1")
                    await one.presence.register("gw-1", [ANNA])
                    await one.backplane.ring({"gw-2": [build_batch(7777)]})
                    return 7777 in ears.heard and bool(await two.presence.nodes_of([ANNA]))
                except Unavailable:
                    return False

            seconds = await wait_for(is_back, seconds=30)
    print(f"Sentinel: another primary {seconds:.1f} s after the first was paused")


@pytest.mark.slow
async def test_on_a_cluster_of_three(guard: Guard) -> None:
    """All of it works there; with one node gone nothing is believed, and with it back all goes on by itself."""
    with RedisCluster(guard=guard) as cluster:
        ears = Ears()
        async with (
            open_process(cluster.url, call_seconds=CALL_SECONDS) as one,
            open_process(cluster.url, call_seconds=CALL_SECONDS) as two,
            two.backplane.listen("gw-2", ears),
        ):
            await use_all(one, two, ears)
            cluster.nodes[1].kill()
            with pytest.raises(Unavailable):
                await one.presence.nodes_of(MANY)
            await asyncio.to_thread(cluster.nodes[1].start)

            async def is_back() -> bool:
                try:
                    await two.presence.renew("gw-2")
                    await two.presence.register("gw-2", MANY)
                    await one.backplane.ring({"gw-2": [build_batch(7777)]})
                    return 7777 in ears.heard and len(await one.presence.nodes_of(MANY)) == len(MANY)
                except Unavailable:
                    return False

            seconds = await wait_for(is_back, seconds=30)
    print(f"Cluster: all back {seconds:.1f} s after a killed node was started again")
