"""The tables on PostgreSQL: made by the same migrations, cut by time, compared as SQLite and Python compare."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from aldis.adapters.sql.partitions import AHEAD, DAY_MS, PARTITIONED
from aldis.adapters.sql.schema import metadata
from aldis.adapters.sql.store import open_sql_store
from aldis.domain.errors import AldisError
from aldis.domain.ids import UserId
from aldis.domain.status import Step
from aldis.ports.store import Move, Store
from contract.store_rows import ALICE, BOB, NOW, TALK, message, store_messages
from databases import SHARED
from servers.postgres import PostgresServer

T = TypeVar("T")
WORDS = (
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
    " AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'"
)


async def inside(url: str, look: Callable[[Connection], T]) -> T:
    """What `look` finds on a plain connection."""
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"), poolclass=NullPool)
    async with engine.connect() as connection:
        return await connection.run_sync(look)


def differences(connection: Connection) -> list[object]:
    """What Alembic would change; partitions are no tables of the schema."""

    def is_here(item: object, name: str | None, type_: str, *_: object) -> bool:
        wanted = getattr(item, "_ddl_if", None)
        is_partition = type_ == "table" and name not in metadata.tables
        return not is_partition and (wanted is None or wanted.dialect == "postgresql")

    options = {"include_object": is_here, "compare_server_default": True}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def partitions_of(server: PostgresServer, table: str, database: str = SHARED) -> list[str]:
    """The names of a table's partitions."""
    children = "SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent ="
    return server.execute(f"{children} '{table}'::regclass ORDER BY 1", database).split()


async def test_migrations_agree_with_the_schema(postgres_store_url: str) -> None:
    """Alembic finds nothing to change after all migrations have run."""
    assert await inside(postgres_store_url, differences) == []


def test_text_is_compared_by_its_bytes(postgres_store_url: str, postgres_server: PostgresServer) -> None:
    """As SQLite and Python do it, whatever the database's own language: pages go on where they ended."""
    assert postgres_server.execute(WORDS, SHARED) == "alembic_version|version_num" or not postgres_server.execute(
        WORDS, SHARED
    )


async def test_processes_that_start_together_migrate_once(postgres_url: str) -> None:
    """Each waits for its turn, and all are one installation."""

    async def start() -> str:
        async with open_sql_store(postgres_url, now_ms=NOW) as store:
            return store.epoch

    assert len(set(await asyncio.gather(*(start() for _ in range(4))))) == 1


async def test_a_database_of_a_newer_version_is_left_alone(postgres_url: str, postgres_server: PostgresServer) -> None:
    """A program that does not know the schema does not touch it."""
    async with open_sql_store(postgres_url, now_ms=NOW):
        pass
    database = postgres_url.rpartition("/")[2]
    postgres_server.execute("UPDATE alembic_version SET version_num = '9999'", database)

    with pytest.raises(AldisError, match="version"):
        async with open_sql_store(postgres_url, now_ms=NOW):
            pass


@pytest.mark.parametrize("of", PARTITIONED, ids=lambda of: of.table)
async def test_partitions_are_there_before_they_are_needed(
    postgres_store_url: str, postgres_server: PostgresServer, of: object
) -> None:
    """Those of today and of some time to come; nothing that comes is without a place."""
    async with open_sql_store(postgres_store_url, now_ms=NOW):
        names = partitions_of(postgres_server, of.table)  # type: ignore[attr-defined]

    assert len(names) >= 2 + AHEAD


async def put_moves(store: Store, *times: int) -> None:
    async with store.begin() as transaction:
        await transaction.record_moves([Move(BOB, None, "s", Step.ACKED, n, n + 1, at) for n, at in enumerate(times)])


async def test_what_came_too_early_moves_into_its_partition(
    postgres_store_url: str, postgres_server: PostgresServer
) -> None:
    """Rows of a time that has no partition yet are kept, and found, before and after it is made."""
    later = NOW + 400 * DAY_MS
    early = message(at=later)
    async with open_sql_store(postgres_store_url, now_ms=NOW) as store:
        await store_messages(store, early)
        assert postgres_server.execute("SELECT count(*) FROM messages_default", SHARED) == "1"
        assert await store.message(early.id) is not None

        await store.keep_up(later, records_before=0)

        assert postgres_server.execute("SELECT count(*) FROM messages_default", SHARED) == "0"
        assert await store.message(early.id) is not None
        (found,) = await store.history(TALK.id, before=None, after=None, limit=5)
        assert found == early


async def test_records_that_have_aged_go_with_their_partition(
    postgres_store_url: str, postgres_server: PostgresServer
) -> None:
    """Whole tables go once all in them is old; messages are no records, and stay."""
    async with open_sql_store(postgres_store_url, now_ms=NOW) as store:
        await put_moves(store, NOW, NOW + 60 * DAY_MS, NOW - 400 * DAY_MS)
        await store_messages(store, message())
        before = partitions_of(postgres_server, "messages")

        await store.keep_up(NOW + 60 * DAY_MS, records_before=NOW + 20 * DAY_MS)

        assert postgres_server.execute("SELECT at FROM cursor_moves", SHARED) == str(NOW + 60 * DAY_MS)
        assert set(before) <= set(partitions_of(postgres_server, "messages"))
        assert (await store.heads([ALICE]))[ALICE, "s"].seq == 1
        assert partitions_of(postgres_server, "cursor_moves")[0] > "cursor_moves_20270115"


async def test_a_partition_that_is_in_use_goes_next_time(
    postgres_store_url: str, postgres_server: PostgresServer
) -> None:
    """Nobody is kept waiting for long by what can be done later."""
    async with open_sql_store(postgres_store_url, now_ms=NOW) as store:
        await put_moves(store, NOW)
        later = NOW + 90 * DAY_MS
        async with store.begin() as user:
            assert await user.count_own_between(TALK.id, ALICE, 0, 1) == 0
            await put_moves_in(user)
            await store.keep_up(later, records_before=later)
        assert postgres_server.execute("SELECT count(*) FROM cursor_moves", SHARED) == "2"

        await store.keep_up(later, records_before=later)

        assert postgres_server.execute("SELECT count(*) FROM cursor_moves", SHARED) == "0"


async def put_moves_in(transaction: object) -> None:
    move = Move(UserId("bob"), None, "s", Step.ACKED, 1, 2, NOW)
    await transaction.record_moves([move])  # type: ignore[attr-defined]
