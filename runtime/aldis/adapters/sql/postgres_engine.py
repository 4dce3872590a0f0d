"""PostgreSQL: several writers, each transaction on a connection of its own, statements awaited on the event loop.

Transactions are READ COMMITTED: what is read to be written back is read with a lock, rows are locked in the order that
`aldis.ports.store` names, and whoever still meets another in the wrong order is told of `Contention`.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

import asyncpg
import structlog

from aldis.adapters.sql.connection import Executing
from aldis.adapters.sql.dialect import Dialect
from aldis.adapters.sql.engine import Work
from aldis.adapters.sql.postgres_connection import PostgresConnection, Record, Statements
from aldis.adapters.sql.postgres_dialect import PostgresDialect
from aldis.adapters.sql.postgres_errors import DRIVER_ERRORS, is_lost, is_moved, translate_commit, translated
from aldis.adapters.sql.postgres_migrate import migrate_postgres
from aldis.adapters.sql.postgres_pool import LIMITS, PLANS, PostgresPool, open_pool
from aldis.adapters.sql.postgres_replica import Behind, PostgresReplica
from aldis.adapters.sql.postgres_upkeep import keep_partitions
from aldis.adapters.sql.postgres_url import parse_postgres_url
from aldis.domain.errors import AldisError, Unavailable
from aldis.telemetry.tasks import spawn

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

OTHER_WRITERS = 4  # moves, connections of devices, workers
READERS = 6
ROLLBACK_SECONDS = 2.0  # then the connection is given up

log = structlog.get_logger(__name__)

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"

T = TypeVar("T")


class PostgresEngine:
    """An open database."""

    def __init__(
        self,
        *,
        writing: PostgresPool,
        reading: PostgresPool,
        replica: PostgresReplica | None,
        epoch: str,
        has_pooler: bool,
        writers: int,
    ) -> None:
        self.dialect: Dialect = PostgresDialect()
        self.epoch = epoch
        self.writers = writers
        self.replica = replica
        self._writing = writing
        self._reading = reading
        self._has_pooler = has_pooler
        self._statements = Statements()

    async def run(self, work: Work[T]) -> T:
        """Run a transaction; its statements are awaited one by one."""
        async with self.begin() as connection:
            return await work(connection)

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[Executing]:
        """Open a transaction. A connection that turns out to be dead is replaced before anything has happened on it."""
        async with self._telling(self._writing), AsyncExitStack() as stack:
            driver = await stack.enter_async_context(self._writing.connection())
            try:
                await driver.execute(_BEGIN)
            except DRIVER_ERRORS as error:
                if not is_lost(error):
                    raise
                await self._writing.renew()
                driver = await stack.enter_async_context(self._writing.connection())
                await driver.execute(_BEGIN)
            try:
                connection = PostgresConnection(driver, self._statements)
                yield connection
                await connection.flush()
            except BaseException as error:
                await _roll_back(driver, is_hopeless=is_moved(error))
                raise
            await _commit(driver)

    async def read(self, work: Work[T]) -> T:
        """Run `work`; each of its statements sees what was committed before it. Once more if a connection was dead."""
        try:
            return await self._read(work)
        except Unavailable as error:
            if not is_lost(error.__cause__):
                raise
            return await self._read(work)

    async def read_copy(self, work: Work[T]) -> T:
        """By a replica; whatever keeps it from answering, the primary does."""
        if self.replica is not None:
            with suppress(Behind), translated():
                async with self.replica.connection() as driver:
                    return await work(PostgresConnection(driver, self._statements))
        return await self.read(work)

    async def _read(self, work: Work[T]) -> T:
        async with self._telling(self._reading), self._reading.connection() as driver:
            connection = PostgresConnection(driver, self._statements)
            if not self._has_pooler:
                return await work(connection)
            async with driver.transaction(readonly=True):  # else each statement may go to another connection
                return await work(connection)

    @asynccontextmanager
    async def _telling(self, pool: PostgresPool) -> AsyncGenerator[None]:
        """Translate what is raised; after some of it the pool's other connections are worth nothing either."""
        try:
            with translated():
                yield
        except AldisError as error:
            if is_moved(error.__cause__):
                await pool.renew()
            raise

    async def keep_up(self, now: int, *, records_before: int) -> None:
        """Make and drop partitions."""
        await keep_partitions(self.begin, now, {"cursor_moves": records_before, "attempts": records_before})

    async def scrub(self) -> bool:
        """Nothing: PostgreSQL clears away by itself what was deleted; its log and backups have lives of their own."""
        return True


async def _roll_back(driver: "PoolConnectionProxy[Record]", *, is_hopeless: bool) -> None:
    """End a transaction that failed; a connection that does not answer is closed, which does it, too."""
    if is_hopeless:
        _give_up(driver)
        return
    try:
        async with asyncio.timeout(ROLLBACK_SECONDS):
            await driver.execute("ROLLBACK")
    except DRIVER_ERRORS:
        _give_up(driver)  # what had failed before is what is told
    except BaseException:
        _give_up(driver)
        raise


def _give_up(driver: "PoolConnectionProxy[Record]") -> None:
    with suppress(asyncpg.InterfaceError):  # it is lost already
        driver.terminate()


async def _commit(driver: "PoolConnectionProxy[Record]") -> None:
    """Commit, and see it done also when the caller is cancelled meanwhile."""
    committing = spawn(_outcome(driver), "sql-commit")
    try:
        outcome = await asyncio.shield(committing)
    except asyncio.CancelledError:
        await asyncio.wait([committing])
        raise
    if isinstance(outcome, Exception):
        _give_up(driver)
        raise translate_commit(outcome) from outcome
    if outcome != "COMMIT":
        raise Unavailable("the database undid the transaction")


async def _outcome(driver: "PoolConnectionProxy[Record]") -> str | Exception:
    try:
        return await driver.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 - handed on to whoever still waits for it
        return error


@asynccontextmanager
async def open_postgres_engine(
    url: str, *, now_ms: int, writers: int, read_url: str | None = None, may_migrate: bool = True
) -> AsyncGenerator[PostgresEngine]:
    """Open the database, and copies of it that `read_url` names; see that its schema is up to date, or bring it there.

    Raises `AldisError` when it cannot be used; copies may be away.
    """
    parsed = parse_postgres_url(url)
    migrated = await migrate_postgres(parsed, now_ms, may_change=may_migrate)
    if migrated.is_lax:
        log.warning(
            "synchronous_commit_is_off", remedy="set it on for this role; our own sessions do, without a pooler"
        )
    settings = LIMITS | PLANS | ({"synchronous_commit": "on"} if migrated.is_lax else {})
    async with AsyncExitStack() as stack:
        size = writers + OTHER_WRITERS
        writing = await stack.enter_async_context(open_pool(parsed, size=size, settings=settings))
        reading = await stack.enter_async_context(open_pool(parsed, size=READERS, settings=settings))
        replica = None
        if read_url is not None:
            copies = parse_postgres_url(read_url, sessions="prefer-standby")
            pool = await stack.enter_async_context(open_pool(copies, size=READERS, settings=settings, least=0))
            replica = PostgresReplica(replica=pool, primary=reading)
        yield PostgresEngine(
            writing=writing,
            reading=reading,
            replica=replica,
            epoch=migrated.epoch,
            has_pooler=parsed.has_pooler,
            writers=writers,
        )
