"""The store's doors: engines, threads, transactions, reads, and the one place where a driver's error is translated.

SQLite has one writer: transactions queue on a lock in this process and begin IMMEDIATE, reads have connections of their
own and see the last commit. Postgres will use its own locks and an asynchronous driver instead.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from typing import Any, TypeVar

from alembic.util import CommandError
from sqlalchemy import Engine, RootTransaction, Select, create_engine, func, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from aldis.adapters.sql import reads, schema
from aldis.adapters.sql.administration import Administration, AdministrationReads
from aldis.adapters.sql.announcements import AnnouncementReads
from aldis.adapters.sql.broadcasts import BroadcastReads, Broadcasts, read_heard
from aldis.adapters.sql.checkpoint import checkpoint, checkpointing, rewrite, truncate
from aldis.adapters.sql.connection import Executing, InlineConnection, ThreadConnection, drive, in_thread
from aldis.adapters.sql.deliveries import Deliveries, DeliveryReads
from aldis.adapters.sql.dialect import SqliteDialect, prepare_sqlite
from aldis.adapters.sql.known_blocks import KnownBlocks
from aldis.adapters.sql.migrate import migrate
from aldis.adapters.sql.moves import Moves, read_badge
from aldis.adapters.sql.relations import RelationReads, Relations
from aldis.adapters.sql.revisions import RevisionReads, Revisions
from aldis.adapters.sql.rows import to_api_key, to_channel, to_device
from aldis.adapters.sql.scheduling import Scheduling, SchedulingReads
from aldis.adapters.sql.sends import Sends, read_conversations, read_heads
from aldis.adapters.sql.sweeps import Sweeps
from aldis.domain.callers import ApiKey
from aldis.domain.channels import Channel
from aldis.domain.devices import Device
from aldis.domain.errors import AldisError, Unavailable
from aldis.domain.ids import ConversationId, DeviceId, MessageId, UserId
from aldis.domain.messages import Kind, Message
from aldis.domain.status import Passage
from aldis.domain.streams import BROADCASTS, LaneHead, Source
from aldis.ports.store import Conversation, ConversationRow, Entry, OutcomeUnknown, StateEntry, Transaction, Want

READERS = 4  # threads for reads: more only queue for the processor
SWITCH_SECONDS = 0.001  # how long the writer's thread may keep the event loop from running, where Python's own is 5 ms

T = TypeVar("T")


class SqlTransaction(Sends, Moves, Sweeps, Broadcasts, Deliveries, Revisions, Relations, Administration, Scheduling):
    """One open transaction: everything that may be written together."""


class SqlStore(
    BroadcastReads,
    DeliveryReads,
    RevisionReads,
    RelationReads,
    AnnouncementReads,
    AdministrationReads,
    SchedulingReads,
):
    """The store over SQLAlchemy Core. Make it with `open_sql_store`."""

    def __init__(self, *, writer: Engine, reader: Engine, threads: tuple[Executor, Executor], epoch: str) -> None:
        self.epoch = epoch
        self._writer = writer
        self._reader = reader
        self._writer_thread, self._reader_threads = threads
        self._dialect = SqliteDialect()
        self._known_blocks = KnownBlocks()
        self._writing = asyncio.Lock()
        shared = reader is writer  # then reads take their turn among the transactions
        self._reading: AbstractAsyncContextManager[None] = self._writing if shared else nullcontext()

    @property
    def concurrent_writers(self) -> int:
        """SQLite has one."""
        return 1

    async def run(self, recipe: Callable[[Transaction], Coroutine[Any, Any, T]]) -> T:
        """Run a recipe as one transaction, in the writer's thread."""
        async with self._writing:
            answer: T = await in_thread(self._writer_thread, lambda: self._run(recipe))
            return answer

    def _run(self, recipe: Callable[[Transaction], Coroutine[Any, Any, T]]) -> T:
        with self._translated(), self._writer.connect() as connection:
            transaction = connection.begin()
            try:
                answer = drive(recipe(SqlTransaction(InlineConnection(connection), self._dialect, self._known_blocks)))
            except BaseException:
                transaction.rollback()
                raise
            self._commit(transaction)
            return answer

    def begin(self) -> AbstractAsyncContextManager[SqlTransaction]:
        """Open a transaction whose statements go to the writer's thread one by one."""
        return self._begin()

    @asynccontextmanager
    async def _begin(self) -> AsyncGenerator[SqlTransaction]:
        thread = self._writer_thread
        async with self._writing:
            with self._translated():
                connection = await in_thread(thread, self._writer.connect)
                try:
                    transaction = await in_thread(thread, connection.begin)
                    try:
                        yield SqlTransaction(ThreadConnection(connection, thread), self._dialect, self._known_blocks)
                    except BaseException:
                        await in_thread(thread, transaction.rollback)
                        raise
                    await in_thread(thread, lambda: self._commit(transaction))
                finally:
                    await in_thread(thread, connection.close)

    def alone(self) -> AbstractAsyncContextManager[None]:
        """While the block is open no transaction is."""
        return _holding(self._writing)

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
            raise self._dialect.translate(error) from error
        except SQLAlchemyError as error:
            raise Unavailable("the database cannot be used now") from error

    async def _read(self, recipe: Callable[[Executing], Coroutine[Any, Any, T]]) -> T:
        async with self._reading:
            answer: T = await in_thread(self._reader_threads, lambda: self._read_now(recipe))
            return answer

    def _read_now(self, recipe: Callable[[Executing], Coroutine[Any, Any, T]]) -> T:
        with self._translated(), self._reader.connect() as connection:
            return drive(recipe(InlineConnection(connection)))

    async def check(self) -> None:
        """Ask for one row."""
        await self._read(lambda connection: connection.execute(text("SELECT 1")))

    async def entries(self, wants: Sequence[Want]) -> list[list[Entry]]:
        """Pages of lanes, and of broadcasts."""
        heard = [index for index, want in enumerate(wants) if want.source in BROADCASTS]
        personal = [index for index, want in enumerate(wants) if want.source not in BROADCASTS]
        pages: dict[int, list[Entry]] = {}

        async def read(connection: Executing) -> None:
            for indexes, read_pages in ((personal, reads.read_entries), (heard, read_heard)):
                if indexes:
                    found = await read_pages(connection, self._dialect, [wants[index] for index in indexes])
                    pages.update(zip(indexes, found, strict=True))

        await self._read(read)
        return [pages[index] for index in range(len(wants))]

    async def states(self, wants: Sequence[Want]) -> list[list[StateEntry]]:
        """Pages of `r`."""
        return await self._read(lambda connection: reads.read_states(connection, self._dialect, wants))

    async def heads(self, users: Sequence[UserId]) -> dict[tuple[UserId, Source], LaneHead]:
        """Heads of sources."""
        return await self._read(lambda connection: read_heads(connection, self._dialect, users))

    async def message(self, message_id: MessageId) -> tuple[Message, Conversation] | None:
        """A message and its conversation."""
        return await self._read(lambda connection: reads.read_message_in_place(connection, message_id))

    async def passages(self, message: Message, users: Sequence[UserId]) -> dict[UserId, tuple[int, list[Passage]]]:
        """What passed a message."""
        return await self._read(lambda connection: reads.read_passages(connection, message, users))

    async def conversation(self, conversation: ConversationId) -> Conversation | None:
        """One conversation."""
        return (await self._read(lambda connection: read_conversations(connection, [conversation]))).get(conversation)

    async def conversations_of(
        self,
        user: UserId,
        kind: Kind | None,
        before: tuple[str, str] | None,
        limit: int,
        *,
        archived: bool | None = None,
    ) -> list[ConversationRow]:
        """A page of a user's conversations."""
        return await self._read(
            lambda connection: reads.read_conversation_rows(connection, user, kind, before, limit, archived=archived)
        )

    async def history(
        self, conversation: ConversationId, *, before: int | None, after: int | None, above: int = 0, limit: int
    ) -> list[Message]:
        """A page of a conversation."""
        return await self._read(
            lambda connection: reads.read_history(
                connection, conversation, before=before, after=after, above=above, limit=limit
            )
        )

    async def badge(self, user: UserId) -> int:
        """All unread of a user."""
        return await self._read(lambda connection: read_badge(connection, user))

    async def device(self, user: UserId, device: DeviceId) -> Device | None:
        """One device."""
        table = schema.devices
        statement = select(table).where(table.c.user_id == user, table.c.device_id == device)
        row = await self._first(statement)
        return to_device(row) if row is not None else None

    async def api_key(self, key_id: str) -> ApiKey | None:
        """One key."""
        row = await self._first(select(schema.api_keys).where(schema.api_keys.c.id == key_id))
        return to_api_key(row) if row is not None else None

    async def api_keys(self) -> list[ApiKey]:
        """All keys."""
        return [to_api_key(row) for row in await self._all(select(schema.api_keys).order_by(schema.api_keys.c.id))]

    async def channel(self, name: str) -> Channel | None:
        """One channel."""
        row = await self._first(_declared().where(schema.channels.c.name == name))
        return to_channel(row) if row is not None else None

    async def channels(self) -> list[Channel]:
        """All channels."""
        return [to_channel(row) for row in await self._all(_declared().order_by(schema.channels.c.name))]

    async def channels_version(self) -> str:
        """How many there are and when they were changed, in all."""
        changed = schema.channels.c.updated_at
        statement = select(func.count(), func.count(schema.channels.c.deleted_at), func.sum(changed), func.max(changed))

        async def read(connection: Executing) -> str:
            return str(tuple((await connection.execute(statement)).one()))

        return await self._read(read)


def _declared() -> Select[Any]:
    return select(schema.channels).where(schema.channels.c.deleted_at.is_(None))


@asynccontextmanager
async def _holding(lock: asyncio.Lock) -> AsyncGenerator[None]:
    async with lock:
        yield


@asynccontextmanager
async def open_sql_store(url: str, *, now_ms: int) -> AsyncGenerator[SqlStore]:
    """Bring the schema up to date and open the store; `url` is SQLAlchemy's, `sqlite:///file`.

    A store in memory (`sqlite://`) has one connection, and one thread, for everything. Raises `AldisError` when the
    database is no SQLite database, or is of a newer version.
    """
    if not url.startswith("sqlite:"):
        raise AldisError("the database's URL must begin with sqlite:/// today")
    in_memory = url == "sqlite://" or ":memory:" in url
    writer = _engine(url, 1, begin="BEGIN IMMEDIATE")
    reader = writer if in_memory else _engine(url, READERS, begin=None)
    sys.setswitchinterval(min(SWITCH_SECONDS, sys.getswitchinterval()))
    async with AsyncExitStack() as stack:
        thread = stack.enter_context(ThreadPoolExecutor(1, "sql-writer"))
        threads = thread if in_memory else stack.enter_context(ThreadPoolExecutor(READERS, "sql-reader"))
        try:
            epoch = await in_thread(thread, lambda: _migrate(writer, now_ms))
            store = SqlStore(writer=writer, reader=reader, threads=(thread, threads), epoch=epoch)
            if not in_memory:
                await stack.enter_async_context(checkpointing(reader, threads, store.alone))
            yield store
        finally:
            await in_thread(thread, writer.dispose)
            await in_thread(threads, reader.dispose)


def _migrate(writer: Engine, now_ms: int) -> str:
    try:
        with writer.begin() as connection:
            return migrate(connection, now_ms)
    except CommandError as error:
        raise AldisError("the database is of a version that this program does not know: see `aldis doctor`") from error
    except DBAPIError as error:
        raise AldisError(f"the database cannot be opened ({error.orig}): see `aldis doctor`") from error


def _engine(url: str, size: int, *, begin: str | None) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=10,
        hide_parameters=True,
        connect_args={"check_same_thread": False},  # a pool's connection goes from thread to thread, never to two
        execution_options={} if begin is not None else {"isolation_level": "AUTOCOMMIT"},
    )
    prepare_sqlite(engine, begin=begin)
    return engine
