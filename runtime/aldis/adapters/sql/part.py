"""What the parts of a transaction share: their connection, and one way to run a bulk statement."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import TextClause

from aldis.adapters.sql.connection import Executing
from aldis.adapters.sql.dialect import Dialect, as_rows
from aldis.adapters.sql.known_blocks import KnownBlocks


class Part:
    """One room of an open transaction."""

    def __init__(self, connection: Executing, dialect: Dialect, known_blocks: KnownBlocks) -> None:
        self._connection = connection
        self._dialect = dialect
        self._known_blocks = known_blocks

    async def _run(self, build: Callable[[Dialect], TextClause], rows: Iterable[Sequence[Any]]) -> Any:
        """Run one statement with all its rows in one parameter."""
        return await self._connection.execute(self._dialect.made(build), as_rows(rows))
