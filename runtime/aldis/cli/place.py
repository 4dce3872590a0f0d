"""Where a listener stands: its cursor, and what it has taken but not shown yet, in one small SQLite file.

An event is stored together with the cursor, shown, then struck out, and only then its line is ended: a line that has
been seen whole never comes again. A process killed in between shows its event when it comes back, so nothing is lost;
only a kill at the moment between a line's text and its end can show that text twice. All this happens on the spot: a
listener has nothing else to do while a line is written.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from aldis_client import Cursor, Event

BUSY_SECONDS = 5.0  # another listener of the same device is about to be sent away
_SCHEMA = """
CREATE TABLE IF NOT EXISTS place (only INTEGER PRIMARY KEY CHECK (only = 1), cursor TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS waiting (
    id INTEGER PRIMARY KEY, source TEXT NOT NULL, position INTEGER NOT NULL, type TEXT NOT NULL, body TEXT NOT NULL
);
"""
_PUT_CURSOR = "INSERT INTO place VALUES (1, ?) ON CONFLICT (only) DO UPDATE SET cursor = excluded.cursor"
_PUT_EVENT = "INSERT INTO waiting (source, position, type, body) VALUES (?, ?, ?, ?)"

LineOf = Callable[[Event], str | None]
"""The line that shows an event, without its end; None for one that is not to be shown."""


def place_path(data_dir: Path, user: str, device: str) -> Path:
    """The file of one device of one user; a hyphen in the user's id is written as `+`, so that no two share a file."""
    return data_dir / "clients" / f"{user.replace('-', '+')}-{device}.db"


@contextmanager
def open_place(path: Path, *, line_of: LineOf, out: TextIO) -> Iterator["Place"]:
    """Open the file, which is made when it is missing. Errors here and later are sqlite3's."""
    for folder in (path.parent.parent, path.parent):  # `parents` alone would leave the data folder open to others
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS)
    try:
        database.execute("PRAGMA journal_mode=WAL")
        database.executescript(_SCHEMA)
        yield Place(database, line_of=line_of, out=out)
    finally:
        database.close()


class Place:
    """The client's store. It writes the line of each event to `out` once the event is safe."""

    def __init__(self, database: sqlite3.Connection, *, line_of: LineOf, out: TextIO) -> None:
        self._database = database
        self._line_of = line_of
        self._out = out

    async def load(self) -> Cursor | None:
        """The cursor, or None at the very first start."""
        return self.cursor

    @property
    def cursor(self) -> Cursor | None:
        """The same, for those who cannot wait."""
        row = self._database.execute("SELECT cursor FROM place").fetchone()
        return None if row is None else Cursor.parse(row[0])

    async def apply(self, events: Sequence[Event], cursor: Cursor) -> None:
        """Keep events and cursor in one transaction, on the disk, then show the events."""
        rows = [(event.source, event.position, event.type, json.dumps(dict(event.body))) for event in events]
        self._database.execute("PRAGMA synchronous=FULL")
        with self._transaction() as database:
            database.executemany(_PUT_EVENT, rows)
            database.execute(_PUT_CURSOR, (str(cursor),))
        self.show_waiting()

    async def clear(self) -> None:
        """Forget the cursor. What waits was received, and will be shown."""
        self._database.execute("DELETE FROM place")

    def show_waiting(self) -> None:
        """Show what has not been shown, oldest first."""
        self._database.execute("PRAGMA synchronous=NORMAL")  # a strike survives the process; no line waits for the disk
        rows = self._database.execute("SELECT id, source, position, type, body FROM waiting ORDER BY id").fetchall()
        for number, source, position, type_, body in rows:
            line = self._line_of(Event(source, position, type_, json.loads(body)))
            self._write(line)
            self._database.execute("DELETE FROM waiting WHERE id = ?", (number,))
            self._write("\n" if line is not None else None)

    def show(self, event: Event) -> None:
        """Show what is never stored: typing and presence."""
        line = self._line_of(event)
        self._write(f"{line}\n" if line is not None else None)

    def _write(self, text: str | None) -> None:
        if text is not None:
            self._out.write(text)
            self._out.flush()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._database as database:
            database.execute("BEGIN IMMEDIATE")
            yield database
