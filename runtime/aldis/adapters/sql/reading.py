"""What the parts of the store that read share: one way to run a query outside a transaction."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import Row, Select

from aldis.adapters.sql.connection import Executing
from aldis.adapters.sql.dialect import Dialect

T = TypeVar("T")


class Reading(Protocol):
    """One room of the store's reads."""

    _dialect: Dialect

    async def _read(self, recipe: Callable[[Executing], Coroutine[Any, Any, T]]) -> T:
        """Run `recipe` on a connection for reading."""
        ...

    async def _all(self, statement: Select[*tuple[Any, ...]]) -> Sequence[Row[Any]]:
        """All rows of a query."""

        async def read(connection: Executing) -> Sequence[Row[Any]]:
            rows: Sequence[Row[Any]] = (await connection.execute(statement)).all()
            return rows

        return await self._read(read)

    async def _first(self, statement: Select[*tuple[Any, ...]]) -> Row[Any] | None:
        """The first row of a query."""
        return next(iter(await self._all(statement.limit(1))), None)
