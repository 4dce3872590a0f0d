"""How statements reach SQLite: through plain SQLAlchemy connections in threads of their own.

A driver that hops to its thread and back for every statement was tried first: a group of sends waited at each of its
ten statements until the busy event loop came round again. Here a whole recipe runs in the writer's thread: it is a
coroutine, but everything it awaits is answered on the spot, so one `send(None)` drives it from start to end.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Executable, TextClause

T = TypeVar("T")
Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class Executing(Protocol):
    """What the parts of a transaction need of a connection; SQLAlchemy's AsyncConnection is one too."""

    async def execute(self, statement: Executable, parameters: Parameters = None) -> Any:
        """Run a statement; all its rows are there when it returns."""
        ...

    async def write(self, statement: TextClause, parameters: Mapping[str, Any]) -> None:
        """Insert rows, perhaps together with those of the next writes: none of them may depend on another."""
        ...

    def data_version(self) -> tuple[object, int] | None:
        """Inside a transaction: something that differs once any other connection has committed; None when unknown."""
        ...


class InlineConnection:
    """Runs statements where it is called: inside the thread that owns the connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def execute(self, statement: Executable, parameters: Parameters = None) -> Any:
        """Run a statement now."""
        return self._connection.execute(statement, parameters)

    async def write(self, statement: TextClause, parameters: Mapping[str, Any]) -> None:
        """Run it now."""
        await self.execute(statement, parameters)

    def data_version(self) -> tuple[object, int] | None:
        """SQLite's own number, which is one connection's; asked past SQLAlchemy, which would cost ten times as much."""
        driver = self._connection.connection.driver_connection
        assert driver is not None
        return driver, driver.execute("PRAGMA data_version").fetchone()[0]


class ThreadConnection:
    """Runs each statement in the thread that owns the connection, from the event loop."""

    def __init__(self, connection: Connection, thread: Executor) -> None:
        self._connection = connection
        self._thread = thread

    async def execute(self, statement: Executable, parameters: Parameters = None) -> Any:
        """Run a statement there; its rows are fetched there too."""
        return await in_thread(self._thread, lambda: self._fetch(statement, parameters))

    async def write(self, statement: TextClause, parameters: Mapping[str, Any]) -> None:
        """Run it now."""
        await self.execute(statement, parameters)

    def data_version(self) -> tuple[object, int] | None:
        """Not worth a hop to the thread."""
        return None

    def _fetch(self, statement: Executable, parameters: Parameters) -> Any:
        result = self._connection.execute(statement, parameters)
        return result.freeze()() if result.returns_rows else result


def drive(recipe: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing to its end, and answer what it returns."""
    try:
        recipe.send(None)
    except StopIteration as stop:
        value: T = stop.value
        return value
    recipe.close()
    raise RuntimeError("a recipe waited for something other than its own transaction")


async def in_thread(thread: Executor, work: Any) -> Any:
    """Run `work` in the thread; a caller that is cancelled waits for its end, since it cannot be called back."""
    running = asyncio.get_running_loop().run_in_executor(thread, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
