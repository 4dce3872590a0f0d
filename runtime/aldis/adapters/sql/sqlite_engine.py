"""SQLite: one writer.

Transactions queue on a lock in this process, in a thread of their own, and begin IMMEDIATE; reads have connections and
threads of theirs and see the last commit.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from typing import TypeVar

from sqlalchemy import Engine as Pool
from sqlalchemy import RootTransaction, create_engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from aldis.adapters.sql.checkpoint import checkpoint, checkpointing, rewrite, truncate
from aldis.adapters.sql.connection import Executing, InlineConnection, ThreadConnection, drive, in_thread
from aldis.adapters.sql.dialect import Dialect, SqliteDialect, prepare_sqlite, translate
from aldis.adapters.sql.engine import Work
from aldis.adapters.sql.migrate import migrate
from aldis.domain.errors import AldisError, Unavailable
from aldis.ports.store import OutcomeUnknown

READERS = 4  # threads for reads: more only queue for the processor
SWITCH_SECONDS = 0.001  # how long the writer's thread may keep the event loop from running, where Python's own is 5 ms

T = TypeVar("T")


class SqliteEngine:
    """An open file, or a database in memory: that has one connection, and one thread, for everything."""

    writers = 1

    def __init__(self, *, writer: Pool, reader: Pool, threads: tuple[Executor, Executor], epoch: str) -> None:
        self.dialect: Dialect = SqliteDialect()
        self.epoch = epoch
        self._writer = writer
        self._reader = reader
        self._writer_thread, self._reader_threads = threads
        self._writing = asyncio.Lock()
        shared = reader is writer  # then reads take their turn among the transactions
        self._reading: AbstractAsyncContextManager[None] = self._writing if shared else nullcontext()

    async def run(self, work: Work[T]) -> T:
        """Run a transaction from start to end in the writer's thread."""
        async with self._writing:
            answer: T = await in_thread(self._writer_thread, lambda: self._run(work))
            return answer

    def _run(self, work: Work[T]) -> T:
        with self._translated(), self._writer.connect() as connection:
            transaction = connection.begin()
            try:
                answer = drive(work(InlineConnection(connection)))
            except BaseException:
                transaction.rollback()
                raise
            self._commit(transaction)
            return answer

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[Executing]:
        """Open a transaction whose statements go to the writer's thread one by one."""
        thread = self._writer_thread
        async with self._writing:
            with self._translated():
                connection = await in_thread(thread, self._writer.connect)
                try:
                    transaction = await in_thread(thread, connection.begin)
                    try:
                        yield ThreadConnection(connection, thread)
                    except BaseException:
                        await in_thread(thread, transaction.rollback)
                        raise
                    await in_thread(thread, lambda: self._commit(transaction))
                finally:
                    await in_thread(thread, connection.close)

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[None]:
        """While the block is open no transaction is."""
        async with self._writing:
            yield

    async def keep_up(self, now: int, *, records_before: int) -> None:
        """Nothing: one file has no use for more tables."""

    async def scrub(self) -> bool:
        """Empty the log, which holds pages as they were before something was erased."""
        if self._reader is self._writer:
            return True  # in memory, where there is no log
        await in_thread(self._reader_threads, lambda: checkpoint(self._reader, "PASSIVE"))  # nearly all, beside writers
        async with self._writing:
            emptied: bool = await in_thread(self._reader_threads, self._scrub_now)
            return emptied

    def _scrub_now(self) -> bool:
        with self._translated():
            rewrite(self._reader)
            return truncate(self._reader)

    def _commit(self, transaction: RootTransaction) -> None:
        try:
            transaction.commit()
        except DBAPIError as error:
            # SQLAlchemy holds the transaction for ended; SQLite keeps it open, and would keep it for ever.
            transaction.connection.connection.rollback()
            raise OutcomeUnknown("the commit did not answer; the same client_id tells what became of it") from error

    @contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except DBAPIError as error:
            raise translate(error) from error
        except SQLAlchemyError as error:
            raise Unavailable("the database cannot be used now") from error

    async def read(self, work: Work[T]) -> T:
        """Run `work` in a reader's thread."""
        async with self._reading:
            answer: T = await in_thread(self._reader_threads, lambda: self._read(work))
            return answer

    async def read_copy(self, work: Work[T]) -> T:
        """There is no copy."""
        return await self.read(work)

    def _read(self, work: Work[T]) -> T:
        with self._translated(), self._reader.connect() as connection:
            return drive(work(InlineConnection(connection)))


@asynccontextmanager
async def open_sqlite_engine(url: str, *, now_ms: int) -> AsyncGenerator[SqliteEngine]:
    """Bring the schema up to date and open the database; `url` is SQLAlchemy's, `sqlite:///file`.

    Raises `AldisError` when it is no SQLite database, or too new for this program.
    """
    in_memory = url == "sqlite://" or ":memory:" in url
    writer = _pool(url, 1, begin="BEGIN IMMEDIATE")
    reader = writer if in_memory else _pool(url, READERS, begin=None)
    sys.setswitchinterval(min(SWITCH_SECONDS, sys.getswitchinterval()))
    async with AsyncExitStack() as stack:
        thread = stack.enter_context(ThreadPoolExecutor(1, "sql-writer"))
        threads = thread if in_memory else stack.enter_context(ThreadPoolExecutor(READERS, "sql-reader"))
        try:
            epoch = await in_thread(thread, lambda: _migrate(writer, now_ms))
            engine = SqliteEngine(writer=writer, reader=reader, threads=(thread, threads), epoch=epoch)
            if not in_memory:
                await stack.enter_async_context(checkpointing(reader, threads, engine.alone))
            yield engine
        finally:
            await in_thread(thread, writer.dispose)
            await in_thread(threads, reader.dispose)


def _migrate(writer: Pool, now_ms: int) -> str:
    try:
        with writer.begin() as connection:
            return migrate(connection, now_ms)
    except DBAPIError as error:
        raise AldisError(f"the database cannot be opened ({error.orig}): see `aldis doctor`") from error


def _pool(url: str, size: int, *, begin: str | None) -> Pool:
    pool = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=10,
        hide_parameters=True,
        connect_args={"check_same_thread": False},  # a pool's connection goes from thread to thread, never to two
        execution_options={} if begin is not None else {"isolation_level": "AUTOCOMMIT"},
    )
    prepare_sqlite(pool, begin=begin)
    return pool
