"""What the store asks of a database's engine: transactions, reads, and its own language."""

from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

from aldis.adapters.sql.connection import Executing
from aldis.adapters.sql.dialect import Dialect

T = TypeVar("T")
Work = Callable[[Executing], Coroutine[Any, Any, T]]


class Engine(Protocol):
    """An open database. All that it raises is the port's: see `aldis.ports.store`."""

    dialect: Dialect
    epoch: str
    writers: int

    async def run(self, work: Work[T]) -> T:
        """Run `work`, which awaits nothing but its connection, as one transaction."""
        ...

    def begin(self) -> AbstractAsyncContextManager[Executing]:
        """Open a transaction; commit at the end of the block, roll back when it raises."""
        ...

    async def read(self, work: Work[T]) -> T:
        """Run `work`, which only reads, outside a transaction."""
        ...

    async def read_copy(self, work: Work[T]) -> T:
        """The same, by a copy of the database if there is one that has all; for what is long and seldom."""
        ...

    async def keep_up(self, now: int, *, records_before: int) -> None:
        """Make tables ahead of their time, and drop those that hold only older records; see the port."""
        ...

    async def scrub(self) -> bool:
        """Overwrite what was deleted wherever this database keeps copies; False when it could not now."""
        ...
