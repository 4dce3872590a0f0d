"""Connections to PostgreSQL: a bounded pool, and the settings that each of its sessions has."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from aldis.adapters.sql.postgres_connection import Record
from aldis.adapters.sql.postgres_url import PostgresUrl
from aldis.domain.errors import Unavailable

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    _Driver = asyncpg.Connection[Record]
else:
    _Driver = asyncpg.Connection  # generic in its stubs only

ACQUIRE_SECONDS = 5.0  # for a connection: whoever waits longer is told to come back
STATEMENT_MS = 10_000  # each is by key and bounded; a slow one is in trouble
LOCK_MS = 5_000
IDLE_IN_TRANSACTION_MS = 15_000  # a process that was frozen gives its locks back
ANSWER_SECONDS = 12.0  # for a statement, when the server says nothing at all
CACHED_STATEMENTS = 300  # a connection
PLANNED_SECONDS = 60  # until a plan is made anew: it may have been made for a table that was empty then
QUERIES = 1_000_000  # then a connection is replaced, so that none grows for ever
IDLE_SECONDS = 300.0  # until a connection that nobody needs is closed

# Statements are written as for a database that knows nested loops over indexes and nothing else, since SQLite is one:
# so their plans are the same on an empty table and on a large one, and rows are locked in the order they are given in.
PLANS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
LIMITS = {
    "statement_timeout": str(STATEMENT_MS),
    "lock_timeout": str(LOCK_MS),
    "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_MS),
}


class _Connection(_Driver):
    """Nothing of a session is changed, so there is nothing to be set back when it is given back."""

    def get_reset_query(self) -> str:
        return ""


class PostgresPool:
    """At most `size` connections, opened when they are needed."""

    def __init__(self, pool: "asyncpg.Pool[Record]") -> None:
        self._pool = pool

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator["PoolConnectionProxy[Record]"]:
        """One of them, for the block. The driver's own errors."""
        try:
            driver = await self._pool.acquire(timeout=ACQUIRE_SECONDS)
        except TimeoutError as error:
            raise Unavailable("all connections to the database are busy") from error
        try:
            yield driver
        finally:
            await self._pool.release(driver)

    async def renew(self) -> None:
        """Have all connections made anew, each when it is next wanted."""
        await self._pool.expire_connections()


@asynccontextmanager
async def open_pool(
    url: PostgresUrl, *, size: int, settings: Mapping[str, str], least: int = 1
) -> AsyncGenerator[PostgresPool]:
    """A pool, with `least` connections made to see that they can be."""
    pool = asyncpg.create_pool(
        **connect_arguments(url, settings),
        min_size=least,
        max_size=size,
        connection_class=_Connection,
        max_inactive_connection_lifetime=IDLE_SECONDS,
        max_queries=QUERIES,
    )
    try:
        async with pool:
            yield PostgresPool(pool)
    finally:
        pool.terminate()


def connect_arguments(url: PostgresUrl, settings: Mapping[str, str]) -> dict[str, Any]:
    """What asyncpg is given for each connection."""
    pooled = {"statement_cache_size": 0, "server_settings": {"application_name": url.settings["application_name"]}}
    own = {
        "statement_cache_size": CACHED_STATEMENTS,
        "max_cached_statement_lifetime": PLANNED_SECONDS,
        "server_settings": {**settings, **url.settings},
    }
    return {
        **url.arguments(),
        "command_timeout": ANSWER_SECONDS,
        "record_class": Record,
        **(pooled if url.has_pooler else own),
    }
