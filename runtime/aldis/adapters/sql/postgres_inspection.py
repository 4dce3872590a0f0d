"""Looking at a PostgreSQL database without changing it: for `aldis doctor`."""

from dataclasses import dataclass

import asyncpg

from aldis.adapters.sql.inspection import Inspection
from aldis.adapters.sql.postgres_errors import DRIVER_ERRORS
from aldis.adapters.sql.postgres_pool import LIMITS, connect_arguments
from aldis.adapters.sql.postgres_url import parse_postgres_url
from aldis.adapters.sql.schema_state import FLOOR, REVISION, SchemaState
from aldis.domain.errors import Unavailable

DURABLE = ("fsync", "full_page_writes", "synchronous_commit")  # without one of these a commit may be lost

_SERVER = (
    "SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,"
    " pg_is_in_recovery() OR current_setting('transaction_read_only')::bool AS is_read_only,"
    " current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS most,"
    " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connected,"
    " has_schema_privilege(current_schema(), 'CREATE') AS may_create,"
    " (SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')"
    " AND NOT relispartition) AS tables,"
    " (SELECT array_agg(name ORDER BY name) FROM pg_settings WHERE name = ANY($1) AND setting = 'off') AS unsafe"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresInspection:
    """What a server and a database of it say of themselves."""

    version: str
    number: int
    is_read_only: bool
    may_create: bool
    connected: int
    most: int
    unsafe: tuple[str, ...]
    rows: Inspection


async def inspect_postgres(url: str) -> PostgresInspection:
    """Ask. Raises `AldisError` when the URL is wrong or nobody answers."""
    parsed = parse_postgres_url(url)
    try:
        connection = await asyncpg.connect(**connect_arguments(parsed, LIMITS) | {"record_class": asyncpg.Record})
        try:
            return await _inspect(connection)
        finally:
            await connection.close()
    except DRIVER_ERRORS as error:
        raise Unavailable(str(error) or type(error).__name__) from error


async def _inspect(connection: "asyncpg.Connection[asyncpg.Record]") -> PostgresInspection:
    server = await connection.fetchrow(_SERVER, DURABLE)
    assert server is not None
    return PostgresInspection(
        version=server["version"],
        number=server["number"],
        is_read_only=server["is_read_only"],
        may_create=bool(server["may_create"]),
        connected=server["connected"],
        most=server["most"],
        unsafe=tuple(server["unsafe"] or ()),
        rows=Inspection(
            tables=server["tables"],
            schema=await _read_schema(connection),
            newest_message=await _one(connection, "messages", "SELECT max(id) FROM messages"),
        ),
    )


async def _read_schema(connection: "asyncpg.Connection[asyncpg.Record]") -> SchemaState:
    floor, revision = [
        await _one(connection, table.name, f"SELECT version_num FROM {table.name}") for table in (FLOOR, REVISION)
    ]
    return SchemaState(revision or floor, floor)


async def _one(connection: "asyncpg.Connection[asyncpg.Record]", table: str, statement: str) -> str | None:
    """A value out of a table that may not be there."""
    if await connection.fetchval("SELECT to_regclass($1)", table) is None:
        return None
    value: str | None = await connection.fetchval(statement)
    return value
