"""What the parts of a transaction share: their connection, a way to run a bulk statement, and to delete in bounds."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, TextClause, delete, select, tuple_

from aldis.adapters.sql.connection import Executing
from aldis.adapters.sql.dialect import Dialect, as_rows
from aldis.adapters.sql.known_blocks import KnownBlocks


class Part:
    """One room of an open transaction."""

    def __init__(self, connection: Executing, dialect: Dialect, known_blocks: KnownBlocks) -> None:
        self._connection = connection
        self._dialect = dialect
        self._known_blocks = known_blocks

    async def _run(self, build: Callable[[Dialect], TextClause], rows: Iterable[Sequence[Any]], **more: int) -> Any:
        """Run one statement with all its rows in one parameter, and perhaps some numbers in others."""
        return await self._connection.execute(self._dialect.made(build), {**as_rows(rows), **more})

    async def _write(self, build: Callable[[Dialect], TextClause], rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows, perhaps together with the next call's: neither may need to see what the other inserts."""
        await self._connection.write(self._dialect.made(build), as_rows(rows))

    async def _drop(self, table: Table, condition: ColumnElement[bool], limit: int) -> int:
        """Delete up to `limit` rows of a table; answer how many."""
        key = [table.c[each.name] for each in table.primary_key]
        chosen = select(*key).where(condition).limit(limit)
        result = await self._connection.execute(delete(table).where(tuple_(*key).in_(chosen)))
        return int(result.rowcount)
