"""The store's doors: engines, transactions, reads, and the one place where a driver's error is translated.

SQLite has one writer: transactions queue on a lock in this process and begin IMMEDIATE, reads have connections of their
own and see the last commit. Postgres will use its own locks instead.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from aldis.adapters.sql import reads, schema
from aldis.adapters.sql.dialect import SqliteDialect, prepare_sqlite
from aldis.adapters.sql.migrate import migrate
from aldis.adapters.sql.moves import Moves, read_badge
from aldis.adapters.sql.rows import to_api_key, to_channel, to_device
from aldis.adapters.sql.sends import Sends, read_conversations, read_heads
from aldis.adapters.sql.sweeps import Sweeps
from aldis.domain.callers import ApiKey
from aldis.domain.channels import Channel
from aldis.domain.devices import Device
from aldis.domain.errors import Unavailable
from aldis.domain.ids import ConversationId, DeviceId, MessageId, UserId
from aldis.domain.messages import Kind, Message
from aldis.domain.status import Passage
from aldis.domain.streams import LaneHead, Source
from aldis.ports.store import Conversation, ConversationRow, Entry, OutcomeUnknown, StateEntry, Want

READERS = 4  # connections for reads: more only queue for the processor


class SqlTransaction(Sends, Moves, Sweeps):
    """One open transaction: everything that may be written together."""


class SqlStore:
    """The store over SQLAlchemy Core. Make it with `open_sql_store`."""

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine, epoch: str) -> None:
        self.epoch = epoch
        self._writer = writer
        self._reader = reader
        self._dialect = SqliteDialect()
        self._writing = asyncio.Lock()

    @property
    def concurrent_writers(self) -> int:
        """SQLite has one."""
        return 1

    def begin(self) -> AbstractAsyncContextManager[SqlTransaction]:
        """Open a transaction."""
        return self._transaction()

    @asynccontextmanager
    async def _transaction(self) -> AsyncGenerator[SqlTransaction]:
        async with self._writing, self._translated(self._writer) as connection:
            transaction = await connection.begin()
            try:
                yield SqlTransaction(connection, self._dialect)
            except BaseException:
                await transaction.rollback()
                raise
            try:
                await transaction.commit()
            except DBAPIError as error:
                raise OutcomeUnknown("the commit did not answer; the same client_id tells what became of it") from error

    @asynccontextmanager
    async def _translated(self, engine: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
        try:
            async with engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            raise self._dialect.translate(error) from error
        except SQLAlchemyError as error:
            raise Unavailable("the database cannot be used now") from error

    def _reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._translated(self._reader)

    async def check(self) -> None:
        """Ask for one row."""
        async with self._reading() as connection:
            await connection.execute(text("SELECT 1"))

    async def entries(self, wants: Sequence[Want]) -> list[list[Entry]]:
        """Pages of lanes."""
        async with self._reading() as connection:
            return await reads.read_entries(connection, self._dialect, wants)

    async def states(self, wants: Sequence[Want]) -> list[list[StateEntry]]:
        """Pages of `r`."""
        async with self._reading() as connection:
            return await reads.read_states(connection, self._dialect, wants)

    async def heads(self, users: Sequence[UserId]) -> dict[tuple[UserId, Source], LaneHead]:
        """Heads of sources."""
        async with self._reading() as connection:
            return await read_heads(connection, self._dialect, users)

    async def message(self, message_id: MessageId) -> tuple[Message, Conversation] | None:
        """A message and its conversation."""
        async with self._reading() as connection:
            message = await reads.read_message(connection, message_id)
            if message is None:
                return None
            found = await read_conversations(connection, [message.conversation_id])
            return message, found[message.conversation_id]

    async def passages(self, message: Message, users: Sequence[UserId]) -> dict[UserId, tuple[int, list[Passage]]]:
        """What passed a message."""
        async with self._reading() as connection:
            return await reads.read_passages(connection, message, users)

    async def conversation(self, conversation: ConversationId) -> Conversation | None:
        """One conversation."""
        async with self._reading() as connection:
            return (await read_conversations(connection, [conversation])).get(conversation)

    async def conversations_of(
        self, user: UserId, kind: Kind | None, before: tuple[str, str] | None, limit: int
    ) -> list[ConversationRow]:
        """A page of a user's conversations."""
        async with self._reading() as connection:
            return await reads.read_conversation_rows(connection, user, kind, before, limit)

    async def history(
        self, conversation: ConversationId, *, before: int | None, after: int | None, limit: int
    ) -> list[Message]:
        """A page of a conversation."""
        async with self._reading() as connection:
            return await reads.read_history(connection, conversation, before=before, after=after, limit=limit)

    async def badge(self, user: UserId) -> int:
        """All unread of a user."""
        async with self._reading() as connection:
            return await read_badge(connection, user)

    async def device(self, user: UserId, device: DeviceId) -> Device | None:
        """One device."""
        table = schema.devices
        async with self._reading() as connection:
            statement = select(table).where(table.c.user_id == user, table.c.device_id == device)
            row = (await connection.execute(statement)).first()
            return to_device(row) if row is not None else None

    async def api_key(self, key_id: str) -> ApiKey | None:
        """One key."""
        async with self._reading() as connection:
            row = (await connection.execute(select(schema.api_keys).where(schema.api_keys.c.id == key_id))).first()
            return to_api_key(row) if row is not None else None

    async def api_keys(self) -> list[ApiKey]:
        """All keys."""
        async with self._reading() as connection:
            rows = await connection.execute(select(schema.api_keys).order_by(schema.api_keys.c.id))
            return [to_api_key(row) for row in rows]

    async def channel(self, name: str) -> Channel | None:
        """One channel."""
        async with self._reading() as connection:
            row = (await connection.execute(select(schema.channels).where(schema.channels.c.name == name))).first()
            return to_channel(row) if row is not None else None

    async def channels(self) -> list[Channel]:
        """All channels."""
        async with self._reading() as connection:
            rows = await connection.execute(select(schema.channels).order_by(schema.channels.c.name))
            return [to_channel(row) for row in rows]


@asynccontextmanager
async def open_sql_store(url: str, *, now_ms: int) -> AsyncGenerator[SqlStore]:
    """Bring the schema up to date and open the store; `url` is SQLAlchemy's, `sqlite+aiosqlite:///file`.

    A store in memory (`:memory:`) has one connection for everything.
    """
    in_memory = ":memory:" in url
    writer = _engine(url, 1, begin="BEGIN IMMEDIATE")
    reader = writer if in_memory else _engine(url, READERS, begin=None)
    try:
        async with writer.connect() as connection:
            epoch = await connection.run_sync(migrate, now_ms)
            await connection.commit()
        yield SqlStore(writer, reader, epoch)
    finally:
        await writer.dispose()
        await reader.dispose()


def _engine(url: str, size: int, *, begin: str | None) -> AsyncEngine:
    engine = create_async_engine(
        url,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=10,
        hide_parameters=True,
        execution_options={} if begin is not None else {"isolation_level": "AUTOCOMMIT"},
    )
    prepare_sqlite(engine.sync_engine, begin=begin)
    return engine
