"""The database of a server under test, for what only a look into it can tell, and for laying up a million rows.

Statements are such as both SQLite and PostgreSQL understand; what they need to know of the tables is asked for here.
"""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from servers.postgres import PostgresServer

LOCK_SECONDS = 60.0


class Database(ABC):
    """One database."""

    @abstractmethod
    def values(self, query: str) -> list[str]:
        """Return the one column that a query selects."""

    @abstractmethod
    def change(self, statement: str) -> None:
        """Run a statement in a transaction of its own."""

    @abstractmethod
    def columns(self, table: str) -> Sequence[str]:
        """Return the names of a table's columns."""


class SqliteDatabase(Database):
    """A file."""

    def __init__(self, file: Path) -> None:
        """Look into this file."""
        self._file = file

    def values(self, query: str) -> list[str]:
        """Read, without a chance to write."""
        with closing(sqlite3.connect(f"file:{self._file}?mode=ro", uri=True)) as database:
            return [str(value) for (value,) in database.execute(query)]

    def change(self, statement: str) -> None:
        """Take turns with the server."""
        with closing(sqlite3.connect(self._file, timeout=LOCK_SECONDS)) as database, database:
            database.execute(statement)

    def columns(self, table: str) -> Sequence[str]:
        """Ask the file."""
        return self.values(f"SELECT name FROM pragma_table_info('{table}')")  # noqa: S608 - a table of ours


class PostgresDatabase(Database):
    """A database of a PostgreSQL of ours."""

    def __init__(self, server: PostgresServer, name: str) -> None:
        """Look into this one."""
        self._server = server
        self._name = name

    def values(self, query: str) -> list[str]:
        """Read as the superuser."""
        return self._server.execute(query, self._name).splitlines()

    def change(self, statement: str) -> None:
        """Write as the superuser."""
        self._server.execute(statement, self._name)

    def columns(self, table: str) -> Sequence[str]:
        """Ask the catalogue."""
        return self.values(
            f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}' "  # noqa: S608 - as above
            "AND table_schema = current_schema() ORDER BY ordinal_position"
        )
