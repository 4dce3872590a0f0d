"""A store in one SQLite file: what was applied survives the process, and a crash of the machine."""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar

from aldis_client.cursor import Cursor
from aldis_client.events import Event

T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS cursor (only INTEGER PRIMARY KEY CHECK (only = 1), value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS messages (
    id TEXT PRIMARY KEY, conversation_id TEXT, seq INTEGER, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_of_conversation ON messages (conversation_id, seq);
CREATE TABLE IF NOT EXISTS states (key TEXT PRIMARY KEY, body TEXT NOT NULL);
"""
_PUT_CURSOR = "INSERT INTO cursor VALUES (1, ?) ON CONFLICT (only) DO UPDATE SET value = excluded.value"
_PUT_MESSAGE = (
    "INSERT INTO messages VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE"
    " SET conversation_id = excluded.conversation_id, seq = excluded.seq, body = excluded.body"
)
_PUT_STATE = "INSERT INTO states VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET body = excluded.body"


class SqliteStore:
    """One file for one user on one device; use as `async with SqliteStore(path) as store`.

    All calls run on one thread of its own, so the event loop never waits for the disk and calls never meet. A commit
    is synced to the disk before it counts (`synchronous=FULL`). Errors are sqlite3's.
    """

    def __init__(self, path: str | Path) -> None:
        """Name the file; it is opened, and made when it is missing, on entering."""
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="aldis-store")
        self._database: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        """Open the file."""
        await self._call(self._open)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the file; what was applied stays."""
        await self._call(self._close)
        self._thread.shutdown()

    async def load(self) -> Cursor | None:
        """The cursor in the file, or None."""
        return await self._call(self._load)

    async def apply(self, events: Sequence[Event], cursor: Cursor) -> None:
        """Keep events and cursor in one transaction."""
        await self._call(lambda: self._apply(events, cursor))

    async def clear(self) -> None:
        """Empty the file."""
        await self._call(self._clear)

    async def messages(self, conversation_id: str | None = None) -> list[dict[str, Any]]:
        """The messages of a conversation by `seq`, or all of them."""
        return await self._call(lambda: self._messages(conversation_id))

    async def _call(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _open(self) -> None:
        self._database = sqlite3.connect(self._path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.executescript(_SCHEMA)

    def _close(self) -> None:
        self._opened.close()

    @property
    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            raise RuntimeError("open the store first: async with SqliteStore(path) as store")
        return self._database

    def _load(self) -> Cursor | None:
        row = self._opened.execute("SELECT value FROM cursor").fetchone()
        return None if row is None else Cursor.parse(row[0])

    def _apply(self, events: Sequence[Event], cursor: Cursor) -> None:
        messages = [event.message for event in events if event.message is not None]
        states = [event for event in events if event.message is None]
        with self._opened as database:
            database.execute("BEGIN IMMEDIATE")
            database.executemany(
                _PUT_MESSAGE, [(m["id"], m.get("conversation_id"), m.get("seq"), json.dumps(m)) for m in messages]
            )
            database.executemany(_PUT_STATE, [(state.state_key, json.dumps(state.payload)) for state in states])
            database.execute(_PUT_CURSOR, (str(cursor),))

    def _clear(self) -> None:
        with self._opened as database:
            database.execute("BEGIN IMMEDIATE")
            for table in ("cursor", "messages", "states"):
                database.execute(f"DELETE FROM {table}")  # noqa: S608  the names are the three above

    def _messages(self, conversation_id: str | None) -> list[dict[str, Any]]:
        rows = self._opened.execute(
            "SELECT body FROM messages WHERE ?1 IS NULL OR conversation_id = ?1 ORDER BY conversation_id, seq",
            (conversation_id,),
        )
        return [json.loads(body) for (body,) in rows]
