"""The plans of the hot queries on PostgreSQL, with a million messages: by which index, and how many pages they read."""

import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import asyncpg
import pytest
from sqlalchemy import TextClause

from aldis.adapters.sql.postgres_connection import PostgresConnection, Result, Statement
from aldis.adapters.sql.postgres_pool import LIMITS, PLANS, connect_arguments
from aldis.adapters.sql.postgres_url import parse_postgres_url
from aldis.adapters.sql.store import SqlStore, open_sql_store
from contract.store_rows import NOW
from integration.plans.cases import READS, WRITES, Case
from integration.plans.rows import BEGIN, FILL
from servers.postgres import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SMALL = {"channels", "erasures"}
PAGES = 2_000  # of 8 KiB looked at by all statements of a call: far from a table's, and near to what its answer holds
KEYS = """
SELECT c.relname AS index, string_agg(a.attname, ', ' ORDER BY k.place) AS columns
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY k(number, place)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number GROUP BY c.relname
"""


@pytest.fixture(scope="module")
async def full(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """A database with all those rows."""
    url = postgres_server.create_database("full")
    for now in (BEGIN, NOW):
        async with open_sql_store(url, now_ms=now):
            pass
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(FILL)
    finally:
        await connection.close()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
async def store(full: str) -> AsyncIterator[SqlStore]:
    async with open_sql_store(full, now_ms=NOW) as store:
        yield store


@pytest.fixture
async def probe(full: str) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    """A connection with the settings that the store's have."""
    connection = await asyncpg.connect(**connect_arguments(parse_postgres_url(full), LIMITS | PLANS))
    yield connection
    await connection.close()


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[Statement]:
    """Each statement that is run, as it is sent."""
    run: list[Statement] = []
    execute, write = PostgresConnection.execute, PostgresConnection.write

    async def recorded_write(self: PostgresConnection, statement: TextClause, parameters: Mapping[str, Any]) -> None:
        run.append(self._statements.bind(statement, parameters))
        await write(self, statement, parameters)
        await self.flush()

    async def recorded(self: PostgresConnection, statement: Any, parameters: Any = None) -> Result:
        if parameters is None or isinstance(parameters, Mapping):
            run.append(self._statements.bind(statement, parameters or {}))
        else:
            text, rows = self._statements.bind_many(statement, parameters)
            run.append(Statement(text, rows[0], has_rows=False))
        return await execute(self, statement, parameters)

    monkeypatch.setattr(PostgresConnection, "execute", recorded)
    monkeypatch.setattr(PostgresConnection, "write", recorded_write)
    return run


def literal(value: object) -> str:
    """A value as it is written in SQL."""
    if value is None or isinstance(value, (bool, int)):
        return "NULL" if value is None else str(value).lower()
    text = value.hex() if isinstance(value, bytes) else str(value).replace("'", "''")
    return f"'\\x{text}'" if isinstance(value, bytes) else f"'{text}'"


async def explain(probe: "asyncpg.Connection[asyncpg.Record]", statement: Statement) -> dict[str, Any]:
    """The plan as it is kept for all values, with what running it came to; nothing of that is kept."""
    given = f"({', '.join(literal(value) for value in statement.values)})" if statement.values else ""
    await probe.execute(f"BEGIN; PREPARE probe AS {statement.text}")
    try:
        rows = await probe.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE probe{given}")
        return dict(json.loads(rows[0][0])[0]["Plan"])
    finally:
        await probe.execute("ROLLBACK; DEALLOCATE probe")


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


async def look(
    probe: "asyncpg.Connection[asyncpg.Record]", statements: Sequence[Statement]
) -> tuple[dict[str, set[str]], int]:
    """By table the columns of the indexes by which it is reached, and how many pages are looked at."""
    columns = {row["index"]: row["columns"] for row in await probe.fetch(KEYS)}
    reached: dict[str, set[str]] = defaultdict(set)
    pages = 0
    for statement in statements:
        plan = await explain(probe, statement)
        pages += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
        for node in nodes(plan):
            if "Scan" in node["Node Type"] and "Relation Name" in node:
                table = re.sub(r"_(\d{8}|default)$", "", node["Relation Name"])
                reached[table].add(columns.get(node.get("Index Name"), node["Node Type"]))
    return reached, pages


def differences(case: Case, reached: dict[str, set[str]], pages: int) -> list[str]:
    """What is not as the case says."""
    wrong = [
        f"{table} by {sorted(found)}"
        for table, found in reached.items()
        if table not in SMALL and not found <= case.indexes.get(table, set())
    ]
    missing = [table for table in case.indexes if table not in reached]
    return [*wrong, *missing] + ([f"{pages} pages"] if pages > PAGES else [])


@pytest.mark.parametrize("name", READS)
async def test_a_read_goes_along_its_indexes(
    store: SqlStore,
    probe: "asyncpg.Connection[asyncpg.Record]",
    statements: list[Statement],
    name: str,
) -> None:
    """Whatever the tables hold, it looks at little more than it answers."""
    await READS[name].call(store)

    assert statements
    assert differences(READS[name], *await look(probe, statements)) == []


@pytest.mark.parametrize("name", WRITES)
async def test_a_write_goes_along_its_indexes(
    store: SqlStore,
    probe: "asyncpg.Connection[asyncpg.Record]",
    statements: list[Statement],
    name: str,
) -> None:
    """The same, and nothing else is locked."""
    async with store.begin() as transaction:
        await WRITES[name].call(transaction)
        run = list(statements)
        await transaction._connection._driver.execute("ROLLBACK; BEGIN")  # type: ignore[attr-defined]

    assert run
    assert differences(WRITES[name], *await look(probe, run)) == []


@pytest.fixture(scope="module")
async def new(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """A database as it is on its first day: nothing in it, and nothing known of it."""
    url = postgres_server.create_database("new")
    async with open_sql_store(url, now_ms=NOW):
        pass
    yield url
    postgres_server.drop_database(url)


@pytest.mark.parametrize("name", sorted({*READS, *WRITES} - {"what passed a message"}))  # it wants one that is there
async def test_a_plan_that_was_made_for_an_empty_table_does_for_a_full_one(
    new: str, statements: list[Statement], name: str
) -> None:
    """Plans are kept: one that goes through whole tables while they are small would do so when they no longer are."""
    async with open_sql_store(new, now_ms=NOW) as store:
        if name in READS:
            await READS[name].call(store)
        else:
            async with store.begin() as transaction:
                await WRITES[name].call(transaction)
                await transaction._connection._driver.execute("ROLLBACK; BEGIN")  # type: ignore[attr-defined]
    probe = await asyncpg.connect(**connect_arguments(parse_postgres_url(new), LIMITS | PLANS))
    try:
        plans = [await explain(probe, statement) for statement in statements]
    finally:
        await probe.close()

    assert [told for plan in plans for told in compared_row_by_row(plan)] == []


def compared_row_by_row(plan: dict[str, Any]) -> Iterator[str]:
    """The tables of which each row is held against each of the rows that were given, in place of a look for each."""
    for node in nodes(plan):
        if node["Node Type"] == "Nested Loop" and any(
            of["Node Type"] == "Function Scan" for of in nodes(node["Plans"][1])
        ):
            yield str(sorted({of["Relation Name"] for of in nodes(node["Plans"][0]) if "Relation Name" in of}))
