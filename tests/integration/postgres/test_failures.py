"""How failures of a real PostgreSQL are told: as the port's errors; nothing is kept of what failed, and all goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import cast

import asyncpg
import pytest
from sqlalchemy import text

from aldis.adapters.sql import postgres_pool
from aldis.adapters.sql.store import SqlStore, SqlTransaction, open_sql_store
from aldis.domain.callers import ApiKey
from aldis.domain.errors import AldisError, Unavailable
from aldis.ports.store import Contention, OutcomeUnknown, Store, Transaction, Unstorable
from contract.store_rows import BOB, NOW, claim, message, put_message, store_messages
from servers.guard import Guard
from servers.postgres import PostgresServer

SECRET = "s3cret"


@pytest.fixture
async def store(postgres_store_url: str) -> AsyncIterator[SqlStore]:
    async with open_sql_store(postgres_store_url, now_ms=NOW) as store:
        yield store


def with_settings(url: str, *settings: str) -> str:
    """The URL with settings of the server."""
    return f"{url}?options=" + "%20".join(f"-c%20{setting.replace('=', '%3D')}" for setting in settings)


async def execute(transaction: Transaction, statement: str) -> None:
    """A statement of the test's own."""
    await cast("SqlTransaction", transaction)._connection.execute(text(statement))


async def run(store: Store, *statements: str) -> None:
    """Statements in a transaction that also stores something."""

    async def recipe(transaction: Transaction) -> None:
        await put_message(transaction, message())
        for statement in statements:
            await execute(transaction, statement)

    await store.run(recipe)


async def is_untouched(store: Store) -> bool:
    """Whether nothing is stored; and that something can be, afterwards."""
    heads = await store.heads([BOB])
    return heads == {} and await store_messages(store, message()) == [1, 1]


def fail_with(state: str) -> str:
    """A statement that fails with a code of the server's."""
    return f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$"


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("40001", Contention),  # serialization failure
        ("40P01", Contention),  # deadlock
        ("55P03", Contention),  # lock timeout
        ("22021", Unstorable),  # a byte that no text has
        ("22P05", Unstorable),  # a character that no text has
        ("22003", Unstorable),  # a number out of range
        ("23502", Unstorable),  # null
        ("23505", Unstorable),  # unique
        ("23514", Unstorable),  # check
        ("25006", Unavailable),  # read-only
        ("42501", Unavailable),  # may not
        ("53100", Unavailable),  # the disk is full
        ("53300", Unavailable),  # too many connections
        ("57014", Unavailable),  # statement timeout
        ("57P01", Unavailable),  # shutting down
        ("57P03", Unavailable),  # starting up
        ("08006", Unavailable),  # connection lost
        ("58030", Unavailable),  # input and output
        ("XX001", Unavailable),  # damaged
    ],
)
async def test_each_failure_has_its_error(store: SqlStore, state: str, error: type[AldisError]) -> None:
    """By the server's code; nothing of the transaction is kept, and the next one works."""
    with pytest.raises(AldisError) as failed:
        await run(store, fail_with(state))

    assert type(failed.value) is error
    assert await is_untouched(store)


async def test_a_row_that_is_there_already_is_unstorable(store: SqlStore) -> None:
    """A constraint of ours refuses it."""
    hello = message()
    await store_messages(store, hello)

    with pytest.raises(Unstorable):
        async with store.begin() as transaction:
            await transaction.insert_messages([hello])


@pytest.mark.parametrize("bad", ["nul \0 inside", "half \ud800 a character"])
async def test_what_no_text_can_hold_is_unstorable(store: SqlStore, bad: str) -> None:
    """Also where a value is a parameter of its own."""
    key = ApiKey(id="k", name=bad, hash="h", scopes=frozenset(), channels=frozenset(), created_at=NOW)
    for write in (lambda t: t.put_api_key(key), lambda t: t.claim_keys([claim(bad)])):
        with pytest.raises(Unstorable):
            await store.run(write)


async def test_a_number_that_no_column_can_hold_is_unstorable(store: SqlStore) -> None:
    """In a row of many and as a parameter."""
    key = ApiKey(id="k", name="n", hash="h", scopes=frozenset(), channels=frozenset(), created_at=2**63)
    for write in (lambda t: t.put_api_key(key), lambda t: t.claim_keys([claim("a", expires_at=2**63)])):
        with pytest.raises(Unstorable):
            await store.run(write)


async def test_waiting_long_for_a_lock_is_contention(postgres_store_url: str, store: SqlStore) -> None:
    """Whoever cannot have a row in time has changed nothing."""
    await store_messages(store, message(1))
    async with (
        open_sql_store(with_settings(postgres_store_url, "lock_timeout=20"), now_ms=NOW) as hurried,
        store.begin() as holder,
    ):
        await holder.extend_sources({(BOB, "s"): 1}, {})
        with pytest.raises(Contention):
            await store_messages(hurried, message(2))

    assert (await store.heads([BOB]))[BOB, "s"].seq == 2


async def test_a_deadlock_is_contention_for_one(store: SqlStore) -> None:
    """Two who lock in opposite orders: one is told to try again, the other goes on."""
    both = asyncio.Barrier(2)

    async def lock(*keys: str) -> str:
        try:
            async with store.begin() as transaction:
                await transaction.claim_keys([claim(keys[0])])
                await both.wait()
                await transaction.claim_keys([claim(keys[1])])
        except Contention:
            return "lost"
        return "won"

    assert sorted(await asyncio.gather(lock("a", "b"), lock("b", "a"))) == ["lost", "won"]


async def test_a_statement_that_takes_too_long_is_unavailable(postgres_store_url: str) -> None:
    """It ends, and the connection is used again."""
    async with open_sql_store(with_settings(postgres_store_url, "statement_timeout=50"), now_ms=NOW) as store:
        with pytest.raises(Unavailable):
            await run(store, "SELECT pg_sleep(60)")

        assert await is_untouched(store)


async def test_a_transaction_that_was_left_open_is_ended(
    postgres_store_url: str, postgres_server: PostgresServer
) -> None:
    """A process that hangs in the middle gives its locks back, and is told when it goes on."""
    url = with_settings(postgres_store_url, "idle_in_transaction_session_timeout=50")
    async with open_sql_store(url, now_ms=NOW) as store:
        with pytest.raises(Unavailable):
            async with store.begin() as transaction:
                await put_message(transaction, message())
                while postgres_server.execute("SELECT 1 FROM pg_stat_activity WHERE state = 'idle in transaction'"):
                    await asyncio.sleep(0)
                await put_message(transaction, message(2))

        assert await is_untouched(store)


@pytest.mark.parametrize("at", ["a statement", "the commit"])
async def test_a_lost_connection_is_told(store: SqlStore, postgres_server: PostgresServer, at: str) -> None:
    """Before the commit nothing has happened; of a commit without an answer nobody knows."""
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    with pytest.raises(AldisError) as failed:
        async with store.begin() as transaction:
            await put_message(transaction, message())
            if at == "a statement":
                postgres_server.execute(kill)
                await put_message(transaction, message(2))
            else:
                await execute(transaction, "SELECT 1")
                postgres_server.execute(kill)

    assert type(failed.value) is (Unavailable if at == "a statement" else OutcomeUnknown)
    assert await is_untouched(store)


async def test_a_commit_that_is_refused_has_not_happened(postgres_url: str) -> None:
    """The server says so: nothing is unknown."""
    async with open_sql_store(postgres_url, now_ms=NOW) as store:
        async with store.begin() as transaction:
            table = "CREATE TABLE child (of text REFERENCES channels (name) DEFERRABLE INITIALLY DEFERRED)"
            await execute(transaction, table)
        with pytest.raises(Unstorable):
            await run(store, "INSERT INTO child VALUES ('nobody')")

        assert await is_untouched(store)


async def test_an_error_that_was_passed_over_is_no_commit(store: SqlStore) -> None:
    """PostgreSQL answers the commit of a failed transaction with a rollback; that is not taken for a commit."""

    async def recipe(transaction: Transaction) -> None:
        await put_message(transaction, message())
        with pytest.raises(asyncpg.PostgresError):
            await execute(transaction, fail_with("23505"))

    with pytest.raises(Unavailable):
        await store.run(recipe)
    assert await is_untouched(store)


async def test_reads_go_on_after_the_connections_were_lost(store: SqlStore, postgres_server: PostgresServer) -> None:
    """The next read makes a connection anew."""
    await store_messages(store, message())
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'aldis'"
    assert postgres_server.execute(others)

    assert (await store.heads([BOB]))[BOB, "s"].seq == 1


async def test_more_work_than_connections_is_told_to_come_back(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting for a connection has an end; those who have one are not disturbed."""
    monkeypatch.setattr(postgres_pool, "ACQUIRE_SECONDS", 0.05)
    async with AsyncExitStack() as stack:
        with pytest.raises(Unavailable, match="busy"):
            for _ in range(100):
                await stack.enter_async_context(store.begin())

    assert await is_untouched(store)


async def test_a_server_without_room_for_connections_is_unavailable(
    store: SqlStore, postgres_server: PostgresServer
) -> None:
    """The connections that are there go on."""
    assert await is_untouched(store)
    postgres_server.execute("ALTER ROLE aldis CONNECTION LIMIT 2")
    try:
        async with store.begin():
            with pytest.raises(Unavailable):
                async with store.begin(), store.begin():
                    pass
    finally:
        postgres_server.execute("ALTER ROLE aldis CONNECTION LIMIT -1")
    assert (await store.heads([BOB]))[BOB, "s"].seq == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda url: url.replace(":" + url.split(":")[2].split("@")[0], f":{SECRET}"), "password authentication"),
        (lambda url: url.rpartition("/")[0] + "/nowhere", "does not exist"),
        (lambda url: url.replace(url.rpartition(":")[2].split("/")[0], "1"), "Connect call failed"),
        (lambda url: url + "?target_session_attrs=standby", "standby"),
    ],
)
async def test_a_database_that_cannot_be_opened_says_why(postgres_store_url: str, change: object, told: str) -> None:
    """In the server's or the system's words, and never with the password."""
    url = cast("str", change(postgres_store_url))  # type: ignore[operator]
    with pytest.raises(AldisError) as refused:
        async with open_sql_store(url, now_ms=NOW):
            pass

    assert told in str(refused.value)
    assert SECRET not in str(refused.value)


async def test_an_owner_who_may_nothing_else_is_enough(postgres_url: str, postgres_server: PostgresServer) -> None:
    """Opening, migrating and making partitions need no superuser."""
    async with open_sql_store(postgres_url, now_ms=NOW) as store:
        await store_messages(store, message())

    rights = "SELECT rolsuper OR rolcreatedb OR rolcreaterole FROM pg_roles WHERE rolname = 'aldis'"
    assert postgres_server.execute(rights) == "f"


@pytest.mark.slow
async def test_a_killed_server_is_found_again(guard: Guard) -> None:
    """While it is away calls fail; what was committed is there when it is back, and nothing else."""
    with PostgresServer(guard=guard) as server:
        async with open_sql_store(server.create_database(), now_ms=NOW) as store:
            await store_messages(store, message(1))
            server.kill()
            with pytest.raises(Unavailable):
                await store_messages(store, message(2))
            with pytest.raises(Unavailable):
                await store.heads([BOB])

            server.start()

            assert (await store.heads([BOB]))[BOB, "s"].seq == 1
            assert await store_messages(store, message(2)) == [2, 2]


@pytest.mark.slow
async def test_a_server_that_hangs_is_not_waited_for(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen server answers nothing and closes nothing: calls end in time, and work again when it goes on."""
    monkeypatch.setattr(postgres_pool, "ANSWER_SECONDS", 0.3)
    with PostgresServer(guard=guard) as server:
        url = server.create_database()
        async with open_sql_store(url, now_ms=NOW) as store:
            await store_messages(store, message(1))
            with pytest.raises(OutcomeUnknown):
                async with store.begin() as transaction:
                    await put_message(transaction, message(2))
                    await transaction.heads([BOB])  # what waited to be written is written
                    server.pause()
            with pytest.raises(Unavailable):
                await store.heads([BOB])
            server.resume()

            assert (await store.heads([BOB]))[BOB, "s"].seq in {1, 2}
            assert await store_messages(store, message(3))
