"""A quick look into a database file, read-only and with nothing but the standard library to import.

For what must answer within a key press: names that a shell completes.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

PATIENCE_SECONDS = 0.2  # somebody has pressed a key and waits
MAX_NAMES = 200


def open_read_only(path: Path, *, wait_seconds: float) -> sqlite3.Connection:
    """A connection that can neither write nor make a file. Raises sqlite3's errors, here or at the first statement."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=wait_seconds, isolation_level=None)


def read_channel_names(path: Path) -> list[str]:
    """The channels by name, at most `MAX_NAMES`; none when the file cannot be read."""
    try:
        with closing(open_read_only(path, wait_seconds=PATIENCE_SECONDS)) as database:
            rows = database.execute("SELECT name FROM channels ORDER BY name LIMIT ?", (MAX_NAMES,))
            return [str(name) for (name,) in rows]
    except sqlite3.Error:
        return []
