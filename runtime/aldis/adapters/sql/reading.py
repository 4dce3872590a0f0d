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

    async def _read_copy(self, recipe: Callable[[Executing], Coroutine[Any, Any, T]]) -> T:
        """The same where a copy of the database will do; it has all that was committed before, too."""
        ...

    async def _all(self, statement: Select[*tuple[Any, ...]], *, copy: bool = False) -> Sequence[Row[Any]]:
        """All rows of a query."""

        async def read(connection: Executing) -> Sequence[Row[Any]]:
            rows: Sequence[Row[Any]] = (await connection.execute(statement)).all()
            return rows

        return await (self._read_copy(read) if copy else self._read(read))

    async def _first(self, statement: Select[*tuple[Any, ...]]) -> Row[Any] | None:
        """The first row of a query."""
        return next(iter(await self._all(statement.limit(1))), None)
