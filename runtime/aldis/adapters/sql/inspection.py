"""Looking at a database without changing it: for `aldis doctor`, beside a running server or without one.

Nothing here goes through SQLAlchemy: a file that is damaged, foreign or of a newer version must be told, not opened.
"""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from aldis.adapters.sql.peek import open_read_only
from aldis.adapters.sql.schema_state import FLOOR, REVISION, SchemaState

WAIT_SECONDS = 5.0  # for another process's lock
STEPS_BETWEEN_LOOKS = 100_000  # of SQLite's machine, between two looks at the time: some ten a second
MAX_DAMAGES = 5  # lines of a report: who has one of them needs a backup, not a list


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What a database file says of itself.

    `schema` has no revision when there is none yet; `damage` is what the check of its pages found, `is_complete` tells
    whether that check came to its end, `newest_message` is the highest message id.
    """

    tables: int
    schema: SchemaState
    damage: tuple[str, ...] = ()
    is_complete: bool = True
    newest_message: str | None = None


class Unreadable(Exception):
    """The file cannot be read as a database; the message is SQLite's."""


def inspect_sqlite(path: Path, *, seconds: float | None) -> Inspection:
    """Read what a file says; its pages are checked for at most `seconds`. Raises `Unreadable`."""
    try:
        with closing(open_read_only(path, wait_seconds=WAIT_SECONDS)) as database:
            return _inspect(database, seconds)
    except sqlite3.Error as error:
        raise Unreadable(str(error)) from error


def _inspect(database: sqlite3.Connection, seconds: float | None) -> Inspection:
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    floor, revision = (
        _one(database, f"SELECT version_num FROM {table.name}") if table.name in tables else None
        for table in (FLOOR, REVISION)
    )
    newest = _one(database, "SELECT max(id) FROM messages") if "messages" in tables else None
    damage, is_complete = _check_pages(database, seconds)
    return Inspection(
        tables=len(tables),
        schema=SchemaState(revision or floor, floor),
        damage=damage,
        is_complete=is_complete,
        newest_message=newest,
    )


def _one(database: sqlite3.Connection, statement: str) -> str | None:
    row = database.execute(statement).fetchone()
    return None if row is None or row[0] is None else str(row[0])


def _check_pages(database: sqlite3.Connection, seconds: float | None) -> tuple[tuple[str, ...], bool]:
    """What is damaged, and whether all was looked at."""
    is_over = _deadline(seconds)
    database.set_progress_handler(is_over, STEPS_BETWEEN_LOOKS)
    try:
        lines = [str(line) for (line,) in database.execute(f"PRAGMA quick_check({MAX_DAMAGES})")]
    except sqlite3.OperationalError:
        if is_over():
            return (), False
        raise
    return tuple(line for line in lines if line != "ok"), True


def _deadline(seconds: float | None) -> Callable[[], bool]:
    end = None if seconds is None else time.monotonic() + seconds
    return lambda: end is not None and time.monotonic() >= end
