"""Migrations on PostgreSQL: the same scripts, one process at a time, never waiting long for anybody's lock.

This is the only place where SQLAlchemy's own asynchronous engine is used: Alembic wants a connection of SQLAlchemy's.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import asyncpg
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from aldis.adapters.sql.migrate import migrate
from aldis.adapters.sql.partitions import PARTS, make, missing
from aldis.adapters.sql.postgres_errors import DRIVER_ERRORS
from aldis.adapters.sql.postgres_indexes import build_indexes
from aldis.adapters.sql.postgres_pool import connect_arguments
from aldis.adapters.sql.postgres_url import PostgresUrl
from aldis.adapters.sql.schema_state import wanted_indexes
from aldis.domain.errors import AldisError

TURN_MS = 60_000  # for other processes that start at the same time
STATEMENT_MS = 600_000  # an index on a large table
LOCK_MS = 3_000  # while a migration waits for a table, everybody else waits behind it
TURN = 0x616C646973  # "aldis": the number of the lock that whoever migrates holds

_SETTINGS: Mapping[str, str] = {"client_min_messages": "warning"}


class Migrated(NamedTuple):
    """The installation's epoch, and whether commits here are answered before they are on the disk."""

    epoch: str
    is_lax: bool


async def migrate_postgres(url: PostgresUrl, now_ms: int, *, may_change: bool = True) -> Migrated:
    """Bring the schema to the newest version. Raises `AldisError` when that cannot be done.

    Without `may_change` a schema that is there is only looked at; see `aldis.adapters.sql.migrate`.
    """

    async def connect() -> "asyncpg.Connection[asyncpg.Record]":
        arguments = connect_arguments(url, _SETTINGS)
        return await asyncpg.connect(**arguments | {"command_timeout": None, "record_class": asyncpg.Record})

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            migrated = await connection.run_sync(_in_turn, now_ms, may_change)
        if may_change and wanted_indexes():
            async with _closing(await connect()) as driver:
                await build_indexes(driver, wanted_indexes(), has_pooler=url.has_pooler)
    except (*DRIVER_ERRORS, SQLAlchemyError) as error:
        raise AldisError(f"the database cannot be opened: {_reason(error)}") from error
    else:
        return migrated
    finally:
        await engine.dispose()


@asynccontextmanager
async def _closing(
    driver: "asyncpg.Connection[asyncpg.Record]",
) -> "AsyncGenerator[asyncpg.Connection[asyncpg.Record]]":
    try:
        yield driver
    finally:
        await driver.close()


def _in_turn(connection: Connection, now_ms: int, may_change: bool) -> Migrated:  # noqa: FBT001 - run_sync hands on no keywords
    for setting in (
        f"SET LOCAL statement_timeout = {TURN_MS}",
        f"SELECT pg_advisory_xact_lock({TURN})",
        f"SET LOCAL statement_timeout = {STATEMENT_MS}",
        f"SET LOCAL lock_timeout = {LOCK_MS}",
    ):
        connection.execute(text(setting))
    epoch = migrate(connection, now_ms, may_change=may_change)
    for of, start in missing((name for _, name in connection.execute(text(PARTS))), now_ms):
        for statement in make(of, start):
            connection.execute(text(statement))
    is_lax = connection.execute(text("SHOW synchronous_commit")).scalar_one() == "off"
    return Migrated(epoch, is_lax)


def _reason(error: Exception) -> str:
    """What the server or the system says; neither tells a password."""
    cause = getattr(error, "orig", None) or error
    return str(getattr(cause, "__cause__", None) or cause) or type(cause).__name__
