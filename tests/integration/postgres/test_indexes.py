"""Indexes that are made beside writers."""

import asyncpg
import pytest

from aldis.adapters.sql.postgres_indexes import TURN, build_indexes
from aldis.domain.errors import AldisError

BUILD = {"ix_one": "CREATE UNIQUE INDEX CONCURRENTLY ix_one ON numbers (n)"}
IS_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('ix_one')"


async def table_with(connection: "asyncpg.Connection[asyncpg.Record]", *numbers: int) -> None:
    await connection.execute("CREATE TABLE numbers (n int)")
    await connection.executemany("INSERT INTO numbers VALUES ($1)", [(n,) for n in numbers])


async def test_what_an_interrupted_attempt_has_left_is_made_anew(postgres_url: str) -> None:
    """PostgreSQL keeps an index that could not be finished, writes into it, and never reads it."""
    connection = await asyncpg.connect(postgres_url)
    await table_with(connection, 1, 1)
    with pytest.raises(asyncpg.UniqueViolationError):
        await build_indexes(connection, BUILD, has_pooler=False)
    assert await connection.fetchval(IS_VALID) is False
    await connection.execute("TRUNCATE numbers")

    await build_indexes(connection, BUILD, has_pooler=False)
    await build_indexes(connection, BUILD, has_pooler=False)

    assert await connection.fetchval(IS_VALID) is True
    await connection.close()


async def test_one_process_builds(postgres_url: str) -> None:
    """Another leaves it to that one, and does not take what is being made for a leftover."""
    one, other = await asyncpg.connect(postgres_url), await asyncpg.connect(postgres_url)
    await table_with(one)
    await one.fetchval("SELECT pg_advisory_lock($1)", TURN)

    await build_indexes(other, BUILD, has_pooler=False)

    assert await one.fetchval(IS_VALID) is None
    await one.close()
    await other.close()


async def test_a_pooler_is_no_place_to_build(postgres_url: str) -> None:
    """The lock is the session's, and a pooler's sessions are anybody's."""
    connection = await asyncpg.connect(postgres_url)
    await table_with(connection)

    with pytest.raises(AldisError, match="past the pooler"):
        await build_indexes(connection, BUILD, has_pooler=True)

    await connection.close()
