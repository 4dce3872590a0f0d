"""How SQLite goes about what is read often: along an index, in its order, whatever else lies in the table."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event

from aldis.adapters.memory.clock import START_MS
from aldis.adapters.sql.connection import in_thread
from aldis.adapters.sql.sqlite_engine import SqliteEngine
from aldis.adapters.sql.store import SqlStore, open_sql_store
from aldis.ports.store import Want
from contract.store_rows import BOB, message, store_messages
from integration.core.running_core import MEMORY


async def plans_of(store: SqlStore, work: Callable[[], Awaitable[Any]]) -> list[list[str]]:
    """The plan of each statement that `work` runs, line by line."""
    seen: list[tuple[str, Any]] = []
    engine = store._engine
    assert isinstance(engine, SqliteEngine)

    def on_execute(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    event.listen(engine._reader, "before_cursor_execute", on_execute)
    await work()
    event.remove(engine._reader, "before_cursor_execute", on_execute)

    def explain() -> list[list[str]]:
        with engine._reader.connect() as connection:
            return [
                [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
                for statement, parameters in seen
                if statement.startswith("SELECT")
            ]

    plans: list[list[str]] = await in_thread(engine._reader_threads, explain)
    return plans


@pytest.mark.parametrize("place", [{"after": 0}, {"after": 4}, {"before": 5}, {}], ids=str)
async def test_the_cost_of_a_thread_does_not_grow_with_its_depth(place: dict[str, Any]) -> None:
    """A page of replies is a range of one index, in its order: nothing is sorted, skipped or read in vain."""
    async with open_sql_store(MEMORY, now_ms=START_MS) as store:
        root = message(1)
        await store_messages(store, root, *(replace(message(seq), thread_id=root.id) for seq in range(2, 9)))
        where: dict[str, Any] = {"before": None, "after": None, **place}

        (plan,) = await plans_of(store, lambda: store.thread(root, limit=2, **where))

    assert len(plan) == 1, plan
    assert "USING INDEX ix_messages_thread_id (thread_id=? AND seq>?" in plan[0]


async def test_a_page_of_broadcasts_costs_with_the_channels_that_a_user_hears() -> None:
    """Each is sought along its own entries, not among all of the source."""
    async with open_sql_store(MEMORY, now_ms=START_MS) as store:
        (plan,) = await plans_of(store, lambda: store.entries([Want(BOB, "bs", 0, 9)]))

    (along,) = [line for line in plan if line.startswith("SEARCH n ")]
    assert "USING COVERING INDEX ix_broadcast_events_source (source=? AND channel=? AND seq>?" in along
