from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aldis_client.cursor import Cursor
from aldis_client.events import Event
from aldis_client.sqlite_store import SqliteStore
from aldis_client.store import MemoryStore

CURSOR = Cursor("k", {"s": 3})


def message(name: str, text: str, seq: int = 1) -> Event:
    return Event("s", 1, "message", {"message": {"id": name, "conversation_id": "c", "seq": seq, "text": text}})


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MemoryStore | SqliteStore]:
    if request.param == "memory":
        yield MemoryStore()
        return
    async with SqliteStore(tmp_path / "client.db") as opened:
        yield opened


async def texts(store: MemoryStore | SqliteStore) -> list[str]:
    rows: list[Any] = list(store.messages.values()) if isinstance(store, MemoryStore) else await store.messages()
    return [row["text"] for row in rows]


async def test_a_new_store_has_no_cursor(store: MemoryStore | SqliteStore) -> None:
    """None tells the client to ask the server where this device is."""
    assert await store.load() is None


async def test_the_cursor_is_kept_with_the_events(store: MemoryStore | SqliteStore) -> None:
    """What was applied last is what the client resumes from."""
    await store.apply([message("m1", "hi")], CURSOR.advance("s", 4))

    assert await store.load() == CURSOR.advance("s", 4)
    assert await texts(store) == ["hi"]


async def test_events_are_upserts(store: MemoryStore | SqliteStore) -> None:
    """The same message again, edited or not, takes the place of the one before."""
    await store.apply([message("m1", "hi"), message("m2", "ho", seq=2)], CURSOR)
    await store.apply([message("m1", "hi!")], CURSOR)

    assert await texts(store) == ["hi!", "ho"]


async def test_states_are_kept_by_their_key(store: MemoryStore | SqliteStore) -> None:
    """The newest receipt of a reader takes the place of the one before, and touches no message."""
    for read in (3, 4):
        receipt = {"conversation_id": "c", "user": "bob", "read_seq": read}
        await store.apply([Event("r", read, "receipt", {"receipt": receipt})], CURSOR)

    assert await texts(store) == []


async def test_clear_leaves_nothing(store: MemoryStore | SqliteStore) -> None:
    """After a reset neither messages nor cursor are left."""
    await store.apply([message("m1", "hi")], CURSOR)

    await store.clear()

    assert await store.load() is None
    assert await texts(store) == []


async def test_a_file_outlives_its_process(tmp_path: Path) -> None:
    """Opened again, the file has the cursor and the messages, by conversation and place."""
    async with SqliteStore(tmp_path / "client.db") as store:
        await store.apply([message("m2", "ho", seq=2), message("m1", "hi")], CURSOR)

    async with SqliteStore(tmp_path / "client.db") as store:
        assert await store.load() == CURSOR
        assert [row["text"] for row in await store.messages("c")] == ["hi", "ho"]
        assert await store.messages("other") == []


async def test_a_file_takes_all_of_a_frame_or_nothing(tmp_path: Path) -> None:
    """When one row cannot be written the cursor does not move either."""
    async with SqliteStore(tmp_path / "client.db") as store:
        await store.apply([], CURSOR)
        broken = Event("s", 4, "message", {"message": {"id": "m3", "text": object()}})

        with pytest.raises(TypeError):
            await store.apply([message("m2", "ho"), broken], CURSOR.advance("s", 4))

        assert await store.load() == CURSOR
        assert await texts(store) == []
