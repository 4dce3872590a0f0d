"""Behind a pooler in transaction mode: nothing relies on a session."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from aldis.adapters.sql.store import open_sql_store
from aldis.domain.messages import Stored
from integration.core.commands import ALICE, BOB, CAROL, chat, talk
from integration.core.running_core import Core, open_core
from servers.guard import Guard
from servers.pgbouncer import PgBouncer
from servers.postgres import PostgresServer

ROUNDS = 20


@pytest.fixture
async def core(postgres_store_url: str, postgres_server: PostgresServer, guard: Guard) -> AsyncIterator[Core]:
    with PgBouncer(postgres_server, guard=guard) as pooler:
        async with open_core(f"{pooler.url_of(postgres_store_url)}?pooler=transaction") as core:
            yield core


async def test_everything_works_behind_a_pooler(core: Core) -> None:
    """Sends, reads and acknowledgements at once, over fewer connections than there are clients of them."""
    await core.connect(BOB, "phone")

    async def look() -> None:
        for _ in range(ROUNDS):
            await asyncio.gather(core.page(BOB, "s", 0), core.store.badge(BOB), core.store.heads([BOB, ALICE]))

    async def send(sender: object) -> None:
        for _ in range(ROUNDS):
            answers = await core.send(*(chat(sender=sender, to=BOB) for _ in range(3)))  # type: ignore[arg-type]
            assert all(isinstance(answer, Stored) for answer in answers)

    await asyncio.gather(send(ALICE), send(CAROL), look(), look())
    await core.ack(BOB, "phone", {"s": 6 * ROUNDS})
    await core.read(BOB, talk(ALICE, BOB), 3 * ROUNDS)

    assert (await core.store.heads([BOB]))[BOB, "s"].seq == 6 * ROUNDS
    assert await core.badge(BOB) == 3 * ROUNDS


async def test_a_database_is_migrated_through_a_pooler(
    postgres_url: str, postgres_server: PostgresServer, guard: Guard
) -> None:
    """An empty one is made ready, too."""
    with PgBouncer(postgres_server, guard=guard) as pooler:
        async with open_sql_store(f"{pooler.url_of(postgres_url)}?pooler=transaction", now_ms=1) as store:
            assert await store.schema_version()
