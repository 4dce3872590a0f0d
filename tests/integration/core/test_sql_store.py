"""What is special about the SQL store: its schema, its file, and how real failures of SQLite are told."""

import asyncio
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text

from aldis.adapters.sql.connection import in_thread
from aldis.adapters.sql.migrate import migrate
from aldis.adapters.sql.schema import metadata
from aldis.adapters.sql.schema_state import FLOOR, REVISION
from aldis.adapters.sql.sqlite_engine import SqliteEngine
from aldis.adapters.sql.store import SqlStore, open_sql_store
from aldis.domain.errors import Unavailable
from aldis.ports.store import Contention, OutcomeUnknown, Want
from contract.store_rows import BOB, NOW, claim, message, store_messages
from integration.core.running_core import MEMORY

CLUSTERED = {table.name for table in metadata.tables.values() if table.dialect_options["sqlite"]["with_rowid"] is False}
NOTES = {FLOOR.name, REVISION.name}  # of the migrations, for themselves


def made_tables(connection: Connection) -> dict[str, str]:
    """The statements that made the tables and indexes, without their line breaks."""
    rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    return {name: re.sub(r"\s+", " ", sql).strip() for name, sql in rows if name not in NOTES}


async def on_writer(store: SqlStore, statement: str) -> list[Any]:
    """Run a statement outside a transaction on the one connection that writes."""
    engine = store._engine
    assert isinstance(engine, SqliteEngine)

    def execute() -> list[Any]:
        with closing(engine._writer.raw_connection()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    rows: list[Any] = await in_thread(engine._writer_thread, execute)
    return rows


def differences(connection: Connection) -> list[Any]:
    """What Alembic would change, of what this kind of database is to have."""

    def is_here(item: Any, name: str | None, *_: object) -> bool:
        wanted = getattr(item, "_ddl_if", None)
        return name not in NOTES and (wanted is None or wanted.dialect == connection.dialect.name)

    return list(compare_metadata(MigrationContext.configure(connection, opts={"include_object": is_here}), metadata))


def test_migrations_agree_with_the_schema() -> None:
    """Alembic finds nothing to change after all migrations have run."""
    with create_engine("sqlite://").connect() as connection:
        migrate(connection, NOW)

        assert differences(connection) == []


def test_migrations_make_the_same_tables_as_the_schema() -> None:
    """What Alembic does not compare is the same too: checks, defaults, clustering, partial indexes."""
    with create_engine("sqlite://").connect() as migrated, create_engine("sqlite://").connect() as made:
        migrate(migrated, NOW)
        metadata.create_all(made)

        assert made_tables(migrated) == made_tables(made)


@pytest.mark.parametrize("table", sorted(CLUSTERED))
def test_narrow_tables_are_clustered_by_their_key(table: str) -> None:
    """A table declared WITHOUT ROWID is one after the migrations: asking for its rowid fails."""
    with create_engine("sqlite://").connect() as connection:
        migrate(connection, NOW)

        assert made_tables(connection)[table].endswith("WITHOUT ROWID")
        with pytest.raises(Exception, match="no such column: rowid"):
            connection.execute(text(f"SELECT rowid FROM {table}"))  # noqa: S608 - a name of ours


async def test_a_file_keeps_its_rows_and_its_epoch(url: str) -> None:
    """Opened again it is the same installation; another file is another."""
    async with open_sql_store(url, now_ms=NOW) as store:
        await store_messages(store, message())
        epoch = store.epoch
    async with open_sql_store(url, now_ms=NOW + 1) as again, open_sql_store(MEMORY, now_ms=NOW) as other:
        assert again.epoch == epoch != other.epoch
        assert (await again.heads([BOB]))[BOB, "s"].seq == 1


async def test_stores_in_memory_are_strangers() -> None:
    """Each store in memory has a database of its own."""
    async with open_sql_store(MEMORY, now_ms=NOW) as one, open_sql_store(MEMORY, now_ms=NOW) as two:
        await store_messages(one, message())

        assert await two.heads([BOB]) == {}


async def test_a_file_is_synchronous_and_logged_ahead(url: str) -> None:
    """A commit is on the disk when it is answered; readers do not wait for it."""
    async with open_sql_store(url, now_ms=NOW) as store:
        assert await on_writer(store, "PRAGMA journal_mode") == [("wal",)]
        assert await on_writer(store, "PRAGMA synchronous") == [(2,)]


async def test_reads_go_on_while_a_transaction_is_open(url: str) -> None:
    """On a file a reader sees the last commit and does not wait for the writer."""
    async with open_sql_store(url, now_ms=NOW) as store:
        await store_messages(store, message(1))
        async with store.begin() as transaction:
            await transaction.extend_sources({(BOB, "s"): 5}, {})

            assert len((await store.entries([Want(BOB, "s", 0, 9)]))[0]) == 1
            assert (await store.heads([BOB]))[BOB, "s"].seq == 1


async def test_a_database_held_by_another_process_is_contention(url: str, tmp_path: Path) -> None:
    """Losing the one write lock to another process changes nothing, and the same works afterwards."""
    async with open_sql_store(url, now_ms=NOW) as store:
        await on_writer(store, "PRAGMA busy_timeout=0")
        with closing(sqlite3.connect(tmp_path / "aldis.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(Contention):
                await store_messages(store, message())
            other.execute("ROLLBACK")

            assert await store_messages(store, message()) == [1, 1]


async def test_a_commit_that_fails_is_an_unknown_outcome(url: str) -> None:
    """SQLite refuses a commit whose deferred foreign key is not met; the store goes on afterwards."""
    async with open_sql_store(url, now_ms=NOW) as store:
        await on_writer(store, "CREATE TABLE child (of TEXT REFERENCES channels(name) DEFERRABLE INITIALLY DEFERRED)")
        await on_writer(store, "PRAGMA foreign_keys=ON")

        with pytest.raises(OutcomeUnknown):
            async with store.begin() as transaction:
                await transaction.claim_keys([claim("a")])
                await transaction._connection.execute(text("INSERT INTO child VALUES ('nobody')"))

        async with store.begin() as transaction:
            assert await transaction.claim_keys([claim("a")]) == {}


async def test_a_full_disk_is_unavailable(url: str) -> None:
    """When the database cannot grow nothing is stored, nobody is blamed, and it works again with room."""
    async with open_sql_store(url, now_ms=NOW) as store:
        await on_writer(store, "PRAGMA max_page_count=1")
        with pytest.raises(Unavailable) as refused:
            await store_messages(store, *(message(seq, text="x" * 500) for seq in range(1, 200)))
        await on_writer(store, "PRAGMA max_page_count=1000000")

        assert type(refused.value) is Unavailable
        assert await store_messages(store, message()) == [1, 1]


async def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A database that cannot be opened is a clear failure of the driver, not an endless wait."""
    with pytest.raises(Exception, match="unable to open database file"):
        async with open_sql_store(f"sqlite:///{tmp_path / 'none' / 'aldis.db'}", now_ms=NOW):
            pass


async def test_writers_wait_for_each_other_in_turn(url: str) -> None:
    """Transactions of one process queue up; none of them is told of contention."""
    async with open_sql_store(url, now_ms=NOW) as store:
        async with asyncio.TaskGroup() as tasks:
            for n in range(20):
                tasks.create_task(store_messages(store, message(n + 1)))

        assert (await store.heads([BOB]))[BOB, "s"].seq == 20
