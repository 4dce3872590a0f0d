"""What lies in the database, past all services: rows written and read as they are, and the bytes of its files."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from sqlalchemy import Executable

from aldis.adapters.sql.store import SqlTransaction
from integration.core.running_core import Core


async def execute(core: Core, *statements: Executable) -> None:
    """Write rows that other services would write."""
    async with core.store.begin() as transaction:
        for statement in statements:
            await cast("SqlTransaction", transaction)._connection.execute(statement)


def everything(path: Path) -> Iterator[tuple[str, str]]:
    """Every value of every table, as text, with the table's name."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in database.execute(f"SELECT * FROM {table}"):  # noqa: S608 - its own tables
                yield from ((table, value.decode() if isinstance(value, bytes) else str(value)) for value in row)
    finally:
        database.close()


def files_with(folder: Path, words: str) -> list[str]:
    """The files that hold these words anywhere in their bytes."""
    return [path.name for path in sorted(folder.iterdir()) if words.encode() in path.read_bytes()]
