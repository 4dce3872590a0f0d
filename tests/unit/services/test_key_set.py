"""The issuer's keys over time: what is fetched when, and what still counts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from aldis.adapters.memory.clock import DrivenClock
from aldis.adapters.memory.key_source import MemoryKeySource
from aldis.domain.errors import Rejected, Unavailable
from aldis.ports.store import Store
from aldis.services.authenticate import Authenticator, TokenRules
from aldis.services.key_set import EARLY, UNKNOWN_SECONDS, KeySet
from aldis.services.user_tokens import UnknownKey
from aldis.telemetry.metrics import Metrics
from aldis.telemetry.tasks import cancel_and_wait, spawn
from issuer import ALGORITHMS, key_set, public_jwk, signed

TTL = 300.0
OLD, NEW = public_jwk("P-256", "old"), public_jwk("P-256", "new", 1)


class World:
    """A clock, a source and who reads tokens with what it publishes."""

    def __init__(self, document: bytes | None) -> None:
        self.clock = DrivenClock()
        self.metrics = Metrics()
        self.source = MemoryKeySource(document)
        self.keys = KeySet(
            source=self.source, clock=self.clock, metrics=self.metrics, ttl_seconds=TTL, algorithms=ALGORITHMS
        )
        self.authenticator = Authenticator(
            store=cast("Store", None), clock=self.clock, rules=TokenRules(secrets=()), key_set=self.keys
        )

    def token(self, kid: str, **claims: int) -> str:
        now = self.clock.now_ms() // 1000
        return signed("ES256", kid, number=1 if kid == "new" else 0, now=now, **{"exp": now + 100_000, **claims})

    async def resolves(self, kid: str) -> bool:
        try:
            return (await self.authenticator.resolve_token(self.token(kid))).user == "alice"
        except Rejected:
            return False

    def counted(self, outcome: str) -> float:
        return self.metrics.registry.get_sample_value("aldis_jwks_fetches_total", {"outcome": outcome}) or 0


@asynccontextmanager
async def open_world(*jwks: dict[str, object]) -> AsyncIterator[World]:
    world = World(key_set(*jwks) if jwks else None)
    async with world.keys.running():
        yield world


async def test_known_keys_are_looked_up_without_waiting() -> None:
    """Thousands who come back at once cause no fetch, and none of them awaits anything."""
    async with open_world(OLD) as world:
        for _ in range(100):
            assert world.authenticator.authenticate_token(world.token("old")).user == "alice"

        assert world.source.fetches == 1


async def test_a_new_key_is_found_by_the_first_token_that_names_it() -> None:
    """Rotation: one fetch, which all who bring the new key wait for."""
    async with open_world(OLD) as world:
        world.source.document = key_set(OLD, NEW)
        with pytest.raises(UnknownKey):
            world.authenticator.authenticate_token(world.token("new"))

        found = await asyncio.gather(*(world.resolves("new") for _ in range(50)), world.resolves("old"))

        assert all(found)
        assert world.source.fetches == 2
        assert world.authenticator.authenticate_token(world.token("new")).user == "alice"


async def test_a_flood_of_unknown_names_causes_one_fetch_a_minute() -> None:
    """However many names are made up, the issuer is asked once; the next minute, once more."""
    async with open_world(OLD) as world:
        assert not any(await asyncio.gather(*(world.resolves(f"made-up-{number}") for number in range(50))))
        assert world.source.fetches == 2

        await world.clock.advance(UNKNOWN_SECONDS - 0.001)
        assert not await world.resolves("made-up")
        assert world.source.fetches == 2

        await world.clock.advance(0.001)
        assert not await world.resolves("made-up")
        assert world.source.fetches == 3


async def test_a_token_that_is_out_of_date_causes_no_fetch() -> None:
    """Devices come back with old tokens all the time; they must not use up the fetch of a new key."""
    async with open_world(OLD) as world:
        for claims in ({"exp": 1_000}, {"nbf": 4_000_000_000}):
            with pytest.raises(Rejected, match=r"expired|not valid yet"):
                await world.authenticator.resolve_token(world.token("new", **claims))

        assert world.source.fetches == 1


async def test_a_key_that_was_removed_ends_within_the_lifetime() -> None:
    """Nobody has to ask for it."""
    async with open_world(OLD, NEW) as world:
        world.source.document = key_set(NEW)
        await world.clock.advance(TTL * EARLY - 1)
        assert await world.resolves("old")

        await world.clock.advance(TTL * (1 - EARLY) + 1)

        assert not await world.resolves("old")
        assert await world.resolves("new")


@pytest.mark.parametrize("document", [None, b"garbage", b'{"keys": []}'])
async def test_known_keys_go_on_working_through_an_outage(document: bytes | None) -> None:
    """For half a day, without an answer or with one that is no key set; the age tells, and a new key ends it."""
    async with open_world(OLD) as world:
        world.source.document = document
        await world.clock.advance(12 * 3600)

        assert await world.resolves("old")
        assert world.keys.retry_after_ms == 60_000
        assert world.counted("failed") > 100
        assert (world.keys.age() or 0) > 11 * 3600

        world.source.document = key_set(NEW)
        await world.clock.advance(60)
        assert await world.resolves("new")


async def test_an_outage_is_looked_at_ever_less_often() -> None:
    """After 1, 2, 4 … and then every 60 seconds: neither the log nor the issuer is flooded."""
    async with open_world() as world:
        before = world.source.fetches
        await world.clock.advance(63)
        assert world.source.fetches - before == 6

        await world.clock.advance(600)
        assert world.source.fetches - before == 16


async def test_an_unknown_key_during_an_outage_is_told_to_come_back() -> None:
    """Such a token may be right, so it is not called wrong; it does not wait, and causes no fetch."""
    async with open_world(OLD) as world:
        world.source.document = None
        await world.clock.advance(TTL)
        fetches = world.source.fetches

        for _ in range(10):
            with pytest.raises(Unavailable) as told:
                await world.authenticator.resolve_token(world.token("new"))
            assert 0 < told.value.retry_after_ms <= 60_000

        assert world.source.fetches == fetches


async def test_without_any_key_yet_every_token_is_told_to_come_back() -> None:
    """A process that starts during an outage."""
    async with open_world() as world:
        assert world.keys.age() is None
        with pytest.raises(Unavailable):
            world.authenticator.authenticate_token(world.token("old"))

        world.source.document = key_set(OLD)
        await world.clock.advance(1)

        assert world.authenticator.authenticate_token(world.token("old")).user == "alice"


async def test_one_who_gives_up_does_not_take_the_others_fetch_away() -> None:
    """Waiting for a key can be cancelled; the fetch goes on for those who still wait."""
    async with open_world(OLD) as world:
        world.source.document = key_set(OLD, NEW)
        first, second = (spawn(world.resolves("new"), "waiter") for _ in range(2))
        await asyncio.sleep(0)
        await cancel_and_wait(first)

        assert await second
        assert world.source.fetches == 2
