"""The plans of the hot queries on SQLite, which chooses them without looking at rows: never a whole table."""

import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, TextClause, text
from sqlalchemy.dialects.sqlite import dialect

from aldis.adapters.sql.connection import InlineConnection
from aldis.adapters.sql.schema import metadata
from aldis.adapters.sql.store import SqlStore, open_sql_store
from contract.store_rows import NOW, message, store_messages
from integration.core.running_core import MEMORY
from integration.plans.cases import READS, WRITES

SMALL = {"channels", "api_keys", "installation", "broadcast_heads"}
UP_TO_A_NUMBER = {
    "the figures",  # an administrator's: rows are counted along narrow tables
    "the audit log",  # along its key, to which SQLite says SCAN, too
    "leasing the outbox",
}
WHOLE = re.compile(r"^SCAN (\w+)(?! USING (?:COVERING )?INDEX)")
ALIASED = re.compile(r"\b(?:FROM|JOIN) (\w+) (?:AS )?(\w+)\b")


@pytest.fixture
async def store() -> AsyncIterator[SqlStore]:
    async with open_sql_store(MEMORY, now_ms=NOW) as store:
        await store_messages(store, message())
        yield store


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """Each statement that is run, with SQLite's words for how."""
    told: list[tuple[str, list[str]]] = []
    execute = InlineConnection.execute

    async def explained(self: InlineConnection, statement: Any, parameters: Any = None) -> Any:
        told.append(explain(self._connection, statement, parameters))
        return await execute(self, statement, parameters)

    monkeypatch.setattr(InlineConnection, "execute", explained)
    return told


def explain(connection: Connection, statement: Any, parameters: Any) -> tuple[str, list[str]]:
    if isinstance(statement, TextClause):
        words, values = statement.text, dict(parameters or {})
    else:
        one = parameters[0] if isinstance(parameters, Sequence) else parameters or {}
        compiled = statement.compile(dialect=dialect(paramstyle="named"), column_keys=list(one) or None)
        state = compiled.construct_expanded_state(compiled.construct_params(one))
        words, values = state.statement, state.parameters
    rows = connection.execute(text(f"EXPLAIN QUERY PLAN {words}"), values)
    return words, [row[3] for row in rows]


def whole_tables(plans: list[tuple[str, list[str]]]) -> set[str]:
    """The tables of ours that are gone through from end to end."""
    found: set[str] = set()
    for words, lines in plans:
        names = {alias: table for table, alias in ALIASED.findall(words)} | {name: name for name in metadata.tables}
        scans = (match[1] for line in lines if (match := WHOLE.match(line)) is not None)
        found |= {names[name] for name in scans if names.get(name) in metadata.tables}
    return found - SMALL


class _Undone(Exception):
    pass


@pytest.mark.parametrize("name", sorted(READS.keys() - UP_TO_A_NUMBER))
async def test_a_read_goes_through_no_whole_table(
    store: SqlStore, plans: list[tuple[str, list[str]]], name: str
) -> None:
    """It seeks what it wants, or goes along an index as far as it needs."""
    plans.clear()
    if name != "what passed a message":  # of an entry that is not here
        await READS[name].call(store)

    assert whole_tables(plans) == set()


@pytest.mark.parametrize("name", sorted(WRITES.keys() - UP_TO_A_NUMBER))
async def test_a_write_goes_through_no_whole_table(
    store: SqlStore, plans: list[tuple[str, list[str]]], name: str
) -> None:
    """The same for what holds the one writer."""

    async def recipe(transaction: Any) -> None:
        await WRITES[name].call(transaction)
        raise _Undone

    plans.clear()
    with pytest.raises(_Undone):
        await store.run(recipe)

    assert plans
    assert whole_tables(plans) == set()
