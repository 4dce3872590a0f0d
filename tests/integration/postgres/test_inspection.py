"""Looking at a PostgreSQL database without changing it."""

import pytest

from aldis.adapters.sql.postgres_inspection import inspect_postgres
from aldis.adapters.sql.schema_state import known_revisions
from aldis.adapters.sql.store import open_sql_store
from aldis.domain.errors import AldisError
from contract.store_rows import NOW, message, store_messages
from servers.postgres import PostgresServer


async def test_an_empty_database_stays_empty(postgres_url: str, postgres_server: PostgresServer) -> None:
    """Nothing is made by looking."""
    found = await inspect_postgres(postgres_url)

    assert (found.rows.tables, found.rows.schema.revision, found.rows.newest_message) == (0, None, None)
    assert not postgres_server.execute(
        "SELECT relname FROM pg_class WHERE relname = 'messages'", postgres_url.rpartition("/")[2]
    )


async def test_a_database_in_use_tells_what_it_holds(postgres_store_url: str) -> None:
    """Its version, the newest message, that it keeps what it commits and has room."""
    hello = message()
    async with open_sql_store(postgres_store_url, now_ms=NOW) as store:
        await store_messages(store, hello)

        found = await inspect_postgres(postgres_store_url)

    assert (found.rows.schema.revision, found.rows.newest_message) == (known_revisions()[0], hello.id)
    assert (found.is_read_only, found.may_create, found.unsafe) == (False, True, ())
    assert 0 < found.connected < found.most


async def test_what_is_unsafe_is_named(postgres_store_url: str, postgres_server: PostgresServer) -> None:
    """A database for which commits need not be synced would lose some."""
    postgres_server.execute("ALTER ROLE aldis SET synchronous_commit = off")
    try:
        found = await inspect_postgres(postgres_store_url)
    finally:
        postgres_server.execute("ALTER ROLE aldis RESET synchronous_commit")

    assert found.unsafe == ("synchronous_commit",)


async def test_who_does_not_answer_is_told_without_the_password() -> None:
    """In the system's words."""
    with pytest.raises(AldisError, match="Connect call failed") as refused:
        await inspect_postgres("postgresql://aldis:s3cret@127.0.0.1:1/aldis")

    assert "s3cret" not in str(refused.value)
