"""What every connection registry promises (`aldis.ports.presence`)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from aldis.adapters.memory.presence import MemoryPresence
from aldis.adapters.redis.presence import RedisPresence
from aldis.domain.ids import UserId
from aldis.ports.presence import Presence
from contract.patient_redis import open_patient_redis

ANNA, BOB, CARL = UserId("anna"), UserId("bob"), UserId("carl")
Forget = Callable[[str], Awaitable[None]]  # takes a node's lease away, as its running out would
TIMEOUT_SECONDS = 5


@asynccontextmanager
async def open_memory(_: pytest.FixtureRequest) -> AsyncIterator[tuple[Presence, Forget]]:
    presence = MemoryPresence()

    async def forget(node: str) -> None:
        presence.forget(node)

    yield presence, forget


@asynccontextmanager
async def open_on_redis(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Presence, Forget]]:
    async with open_patient_redis(request.getfixturevalue("redis_url")) as link:

        async def forget(node: str) -> None:
            key = link.keyspace.leases()
            (members,) = await link.run([("ZRANGE", key, 0, -1)])
            await link.run([("ZREM", key, *(m for m in members if m.startswith(f"{node}|".encode())))])

        yield RedisPresence(link), forget


ADAPTERS = {"memory": open_memory, "redis": open_on_redis}


@pytest.fixture(params=ADAPTERS)
async def opened(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Presence, Forget]]:
    async with ADAPTERS[request.param](request) as opened:
        yield opened


@pytest.fixture
async def presence(opened: tuple[Presence, Forget]) -> Presence:
    return opened[0]


@pytest.fixture
async def forget(opened: tuple[Presence, Forget]) -> Forget:
    return opened[1]


async def wait_until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not await condition():
            await asyncio.sleep(0.01)


async def nodes(presence: Presence, *users: UserId) -> dict[UserId, set[str]]:
    return {user: set(found) for user, found in (await presence.nodes_of(users)).items()}


async def test_a_registered_user_is_found(presence: Presence) -> None:
    """A registration that returned is in the next answer; who is not connected is left out."""
    await presence.register("node-1", [ANNA, BOB])

    assert await nodes(presence, ANNA, BOB, CARL) == {ANNA: {"node-1"}, BOB: {"node-1"}}


async def test_a_user_may_be_on_several_nodes(presence: Presence) -> None:
    """Each node of a user is named once, however often it registered."""
    await presence.register("node-1", [ANNA])
    await presence.register("node-2", [ANNA])
    await presence.register("node-2", [ANNA])

    found = (await presence.nodes_of([ANNA]))[ANNA]

    assert sorted(found) == ["node-1", "node-2"]


async def test_withdrawing_leaves_the_other_nodes(presence: Presence) -> None:
    """A node withdraws only itself; a user withdrawn everywhere is left out."""
    await presence.register("node-1", [ANNA, BOB])
    await presence.register("node-2", [ANNA])

    await presence.withdraw("node-1", [ANNA, BOB])

    assert await nodes(presence, ANNA, BOB) == {ANNA: {"node-2"}}


async def test_withdrawing_a_stranger_changes_nothing(presence: Presence) -> None:
    """A repeated or late withdrawal is fine."""
    await presence.register("node-1", [ANNA])

    await presence.withdraw("node-2", [ANNA, BOB])

    assert await nodes(presence, ANNA, BOB) == {ANNA: {"node-1"}}


async def test_asking_for_nobody_answers_nobody(presence: Presence) -> None:
    """Empty lists are fine everywhere."""
    await presence.register("node-1", [])
    await presence.withdraw("node-1", [])

    assert await nodes(presence) == {}


async def test_a_lease_that_is_kept_keeps_the_users(presence: Presence) -> None:
    """Renewing a lease that is there says so and changes nothing."""
    await presence.register("node-1", [ANNA])

    assert await presence.renew("node-1")
    assert await nodes(presence, ANNA) == {ANNA: {"node-1"}}


async def test_a_lost_lease_takes_the_nodes_users_along(presence: Presence, forget: Forget) -> None:
    """Users of a node without a lease are soon no longer found there; other nodes keep theirs."""
    await presence.register("node-1", [ANNA, BOB])
    await presence.register("node-2", [ANNA])

    await forget("node-1")

    async def is_gone() -> bool:
        return await nodes(presence, ANNA, BOB) == {ANNA: {"node-2"}}

    await wait_until(is_gone)


async def test_all_nodes_with_a_lease_are_named(presence: Presence, forget: Forget) -> None:
    """Whoever is connected there, or nobody; until the lease is gone."""
    await presence.renew("node-1")
    await presence.register("node-2", [ANNA])
    both = await presence.nodes()
    await forget("node-1")

    assert sorted(both) == ["node-1", "node-2"]
    assert list(await presence.nodes()) == ["node-2"]


async def test_a_lost_lease_is_told_once(presence: Presence, forget: Forget) -> None:
    """The first renewal after the loss answers False and makes a new lease, under which users can be registered."""
    await presence.register("node-1", [ANNA])
    await forget("node-1")

    assert not await presence.renew("node-1")
    await presence.register("node-1", [ANNA])
    assert await presence.renew("node-1")
    assert await nodes(presence, ANNA) == {ANNA: {"node-1"}}


async def watchers(presence: Presence, *users: UserId) -> dict[UserId, set[str]]:
    return {user: set(found) for user, found in (await presence.watching(users)).items()}


async def test_a_nodes_watches_are_found_by_user(presence: Presence) -> None:
    """Whoever watches a user is named once, however often it said so; users whom nobody watches are left out."""
    await presence.watch("node-1", [ANNA, BOB])
    await presence.watch("node-2", [ANNA])
    await presence.watch("node-2", [ANNA])

    assert await watchers(presence, ANNA, BOB, CARL) == {ANNA: {"node-1", "node-2"}, BOB: {"node-1"}}
    assert sorted((await presence.watching([ANNA]))[ANNA]) == ["node-1", "node-2"]


async def test_a_watch_ends_by_itself_alone(presence: Presence) -> None:
    """Other nodes go on watching; a watch that is not there may be ended too."""
    await presence.watch("node-1", [ANNA])
    await presence.watch("node-2", [ANNA])

    await presence.unwatch("node-1", [ANNA, BOB])

    assert await watchers(presence, ANNA, BOB) == {ANNA: {"node-2"}}


async def test_being_watched_is_not_being_connected(presence: Presence) -> None:
    """The two are kept apart."""
    await presence.watch("node-1", [ANNA])
    await presence.register("node-2", [BOB])

    assert await nodes(presence, ANNA, BOB) == {BOB: {"node-2"}}
    assert await watchers(presence, ANNA, BOB) == {ANNA: {"node-1"}}


async def test_a_lost_lease_takes_the_nodes_watches_along(presence: Presence, forget: Forget) -> None:
    """Nobody is rung for a node that is no more."""
    await presence.watch("node-1", [ANNA])
    await presence.watch("node-2", [ANNA])

    await forget("node-1")

    async def is_gone() -> bool:
        return await watchers(presence, ANNA) == {ANNA: {"node-2"}}

    await wait_until(is_gone)
