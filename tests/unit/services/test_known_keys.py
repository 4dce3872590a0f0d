from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast

import pytest

from aldis.adapters.memory.clock import DrivenClock
from aldis.domain.callers import ApiKey, Scope
from aldis.domain.errors import Rejected, Unavailable
from aldis.ports.store import Store
from aldis.services.issue_key import IssuedKey, build_key
from aldis.services.known_keys import KEY_MEMORY_MS, NOTE_SECONDS, KnownKeys
from aldis.telemetry.tasks import cancel_and_wait, spawn


class Keys:
    def __init__(self, *keys: ApiKey) -> None:
        self.keys = {key.id: key for key in keys}
        self.reads = 0
        self.is_away = False
        self.notes: list[dict[str, int]] = []

    async def api_key(self, key_id: str) -> ApiKey | None:
        self.reads += 1
        return self.keys.get(key_id)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator["Keys"]:
        if self.is_away:
            raise Unavailable("the database is away")
        yield self

    async def note_keys_used(self, used: Mapping[str, int]) -> None:
        self.notes.append(dict(used))


@pytest.fixture
def clock() -> DrivenClock:
    return DrivenClock()


@pytest.fixture
def issued(clock: DrivenClock) -> IssuedKey:
    return build_key("shop", scopes={Scope.SEND}, channels=(), life=None, now=clock.now_ms())


def open_known(clock: DrivenClock, *keys: ApiKey) -> tuple[KnownKeys, Keys]:
    store = Keys(*keys)
    return KnownKeys(store=cast("Store", store), clock=clock), store


async def test_a_key_is_recognised_without_waiting_once_it_was_read(clock: DrivenClock, issued: IssuedKey) -> None:
    """The busy way knows it for some seconds; then it has to be read again."""
    known, store = open_known(clock, issued.key)
    assert known.recognise(issued.text) is None

    caller = await known.authenticate(issued.text)

    assert known.recognise(issued.text) == caller
    await clock.advance(KEY_MEMORY_MS / 1000)
    assert known.recognise(issued.text) is None
    assert store.reads == 1


async def test_a_wrong_secret_of_a_known_key_is_refused(clock: DrivenClock, issued: IssuedKey) -> None:
    """Also where nobody waits."""
    known, _ = open_known(clock, issued.key)
    await known.authenticate(issued.text)

    with pytest.raises(Rejected):
        known.recognise(f"ak_{issued.key.id}_{'y' * 43}")


async def test_a_key_ends_to_the_millisecond(clock: DrivenClock) -> None:
    """An expiry needs no look into the database, so no memory prolongs it."""
    issued = build_key("shop", scopes={Scope.SEND}, channels=(), life=2_000, now=clock.now_ms())
    known, store = open_known(clock, issued.key)
    await known.authenticate(issued.text)
    await clock.advance(1.999)
    await known.authenticate(issued.text)

    await clock.advance(0.001)

    with pytest.raises(Rejected, match="expired"):
        known.recognise(issued.text)
    assert store.reads == 1


async def test_who_is_guessing_causes_no_read(clock: DrivenClock, issued: IssuedKey) -> None:
    """Without leave to read, only a key that is known counts."""
    known, store = open_known(clock, issued.key)

    with pytest.raises(Rejected, match="not a valid key"):
        await known.authenticate(issued.text, may_read=False)
    assert store.reads == 0

    await known.authenticate(issued.text)
    assert (await known.authenticate(issued.text, may_read=False)).name == "shop"


async def test_the_last_use_is_noted_once_a_minute(clock: DrivenClock, issued: IssuedKey) -> None:
    """Thousands of calls are one write, and nothing is written for a key that rests."""
    known, store = open_known(clock, issued.key)
    noting = spawn(known.keep_noting(), "noting")
    for _ in range(1000):
        await known.authenticate(issued.text)
    used_at = clock.now_ms()

    await clock.advance(3 * NOTE_SECONDS)

    assert store.notes == [{issued.key.id: used_at}]
    await cancel_and_wait(noting)


async def test_a_note_that_fails_is_made_later(clock: DrivenClock, issued: IssuedKey) -> None:
    """A database that is away takes no note away; a newer use wins."""
    known, store = open_known(clock, issued.key)
    await known.authenticate(issued.text)
    store.is_away = True
    await known.note_used()
    await clock.advance(1)
    await known.authenticate(issued.text)
    store.is_away = False

    await known.note_used()

    assert store.notes == [{issued.key.id: clock.now_ms()}]


@pytest.mark.parametrize("ended", [{"revoked_at": 1}, {"expires_at": 1}])
async def test_a_key_that_is_refused_was_not_used(clock: DrivenClock, issued: IssuedKey, ended: dict[str, int]) -> None:
    """Else nobody could tell from the list that a key is no longer needed."""
    known, store = open_known(clock, replace(issued.key, **ended))  # type: ignore[arg-type]  # both are times

    with pytest.raises(Rejected):
        await known.authenticate(issued.text)
    await known.note_used()

    assert store.notes == []
