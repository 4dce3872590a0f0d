"""Reads from a replica: nobody misses what was committed before he asked, however far it is behind."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import pytest

from aldis.adapters.sql.postgres_engine import PostgresEngine
from aldis.adapters.sql.postgres_replica import PostgresReplica
from aldis.adapters.sql.store import SqlStore, open_sql_store
from aldis.domain.errors import Unavailable
from contract.store_rows import ALICE, BOB, NOW, TALK, message, store_messages
from servers.guard import Guard
from servers.postgres import PostgresServer, PostgresStandby

pytestmark = pytest.mark.slow


class Pair(NamedTuple):
    """A primary and what follows it."""

    primary: PostgresServer
    standby: PostgresStandby


@pytest.fixture
def pair(guard: Guard) -> Iterator[Pair]:
    with PostgresServer(guard=guard) as primary, PostgresStandby(primary, guard=guard) as standby:
        yield Pair(primary, standby)


@pytest.fixture
async def store(pair: Pair) -> AsyncIterator[SqlStore]:
    url = pair.primary.create_database("copied")
    async with open_sql_store(url, now_ms=NOW, read_url=pair.standby.url_of("copied")) as store:
        yield store


def replica_of(store: SqlStore) -> PostgresReplica:
    engine = store._engine
    assert isinstance(engine, PostgresEngine)
    assert engine.replica is not None
    return engine.replica


async def newest(store: SqlStore) -> int:
    """The newest seq that the conversation's history shows."""
    (found,) = await store.history(TALK.id, before=None, after=None, limit=1)
    return found.seq


async def wait_until_it_serves(store: SqlStore) -> None:
    """The replica has caught up and is asked again."""
    replica, before = replica_of(store), replica_of(store).reads
    async with asyncio.timeout(30):
        while replica.reads == before:
            await store.history(TALK.id, before=None, after=None, limit=1)
            await asyncio.sleep(0)


def delay(standby: PostgresStandby, by: str) -> None:
    standby.execute(f"ALTER SYSTEM SET recovery_min_apply_delay = '{by}'")
    standby.execute("SELECT pg_reload_conf()")


async def test_what_was_just_written_is_read(store: SqlStore) -> None:
    """Also by the replica, which is waited for; history, the list of conversations and searching."""
    await store_messages(store, message(1))
    await wait_until_it_serves(store)
    before = replica_of(store).reads

    for seq in range(2, 40):
        await store_messages(store, message(seq))
        assert await newest(store) == seq
        (row,) = await store.conversations_of(ALICE, None, None, 5)
        assert row.last is not None
        assert row.last.seq == seq

    assert replica_of(store).reads > before


async def test_nobody_misses_his_own_message_by_a_replica_that_is_far_behind(store: SqlStore, pair: Pair) -> None:
    """Held back for an hour, it serves nothing; the primary does. Let go, it serves again."""
    await store_messages(store, message(1))
    await wait_until_it_serves(store)
    delay(pair.standby, "1h")
    before = replica_of(store).reads

    for seq in range(2, 30):
        await store_messages(store, message(seq))
        assert await newest(store) == seq

    assert replica_of(store).reads == before
    delay(pair.standby, "0")
    await wait_until_it_serves(store)
    assert await newest(store) == 29


async def test_a_replica_that_goes_is_done_without(store: SqlStore, pair: Pair) -> None:
    """Killed at any moment: the primary answers, and it is used again when it is back."""
    await store_messages(store, message(1))
    await wait_until_it_serves(store)

    pair.standby.kill()
    for seq in range(2, 10):
        await store_messages(store, message(seq))
        assert await newest(store) == seq

    pair.standby.start()
    await wait_until_it_serves(store)


async def test_reading_goes_on_without_a_primary(store: SqlStore, pair: Pair) -> None:
    """What the replica has is shown; what must be exact is unavailable."""
    await store_messages(store, message(1))
    await wait_until_it_serves(store)

    pair.primary.kill()

    assert await newest(store) == 1
    with pytest.raises(Unavailable):
        await store.heads([BOB])
    with pytest.raises(Unavailable):
        await store_messages(store, message(2))
