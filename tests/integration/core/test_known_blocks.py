"""What the SQL store remembers of blocks is never less than what is there."""

from pathlib import Path

import pytest

from aldis.adapters.memory.clock import START_MS
from aldis.adapters.sql import known_blocks
from aldis.adapters.sql.store import SqlStore, open_sql_store
from aldis.domain.ids import UserId
from aldis.ports.relations import Pair
from aldis.ports.store import Transaction

ALICE, BOB = UserId("alice"), UserId("bob")
PAIR: Pair = (ALICE, BOB)


async def are_apart(store: SqlStore) -> bool:
    async def recipe(transaction: Transaction) -> set[Pair]:
        return await transaction.blocked_pairs([PAIR])

    return await store.run(recipe) == {PAIR}


async def set_block(store: SqlStore, *, blocked: bool) -> None:
    async def recipe(transaction: Transaction) -> bool:
        if blocked:
            return await transaction.put_block(ALICE, BOB, START_MS)
        return await transaction.delete_block(ALICE, BOB)

    await store.run(recipe)


async def test_a_block_made_by_another_process_is_seen_at_once(durable_url: str) -> None:
    """Each of two stores on one database sees what the other has just committed, as often as it changes."""
    async with (
        open_sql_store(durable_url, now_ms=START_MS) as one,
        open_sql_store(durable_url, now_ms=START_MS) as other,
    ):
        for maker, asker in ((one, other), (other, one)) * 3:
            assert not await are_apart(asker)
            await set_block(maker, blocked=True)
            assert await are_apart(asker)
            assert await are_apart(maker)
            await set_block(maker, blocked=False)
            assert not await are_apart(asker)


@pytest.mark.parametrize("named", [6, 8, 10, 12])
async def test_blocks_are_found_however_many_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: int
) -> None:
    """Beyond what is remembered every group looks."""
    monkeypatch.setattr(known_blocks, "MOST", 10)
    async with open_sql_store(f"sqlite:///{tmp_path / 'aldis.db'}", now_ms=START_MS) as store:

        async def recipe(transaction: Transaction) -> None:
            for number in range(0, named, 2):
                await transaction.put_block(UserId(f"u-{number}"), UserId(f"u-{number + 1}"), START_MS)

        await store.run(recipe)
    async with open_sql_store(f"sqlite:///{tmp_path / 'aldis.db'}", now_ms=START_MS) as store:
        assert not await are_apart(store)
        await set_block(store, blocked=True)
        assert await are_apart(store)
