"""The store over SQLAlchemy Core: transactions and reads, whatever the database. An engine opens that."""

from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import Select, func, select, text

from aldis.adapters.sql import reads, schema
from aldis.adapters.sql.administration import Administration, AdministrationReads
from aldis.adapters.sql.announcements import AnnouncementReads
from aldis.adapters.sql.broadcasts import BroadcastReads, Broadcasts, read_heard
from aldis.adapters.sql.connection import Executing
from aldis.adapters.sql.deliveries import Deliveries, DeliveryReads
from aldis.adapters.sql.engine import Engine
from aldis.adapters.sql.known_blocks import KnownBlocks
from aldis.adapters.sql.moves import Moves, read_badge
from aldis.adapters.sql.postgres_url import is_postgres_url
from aldis.adapters.sql.relations import RelationReads, Relations
from aldis.adapters.sql.revisions import RevisionReads, Revisions
from aldis.adapters.sql.rows import to_api_key, to_channel, to_device
from aldis.adapters.sql.scheduling import Scheduling, SchedulingReads
from aldis.adapters.sql.sends import Sends, read_conversations, read_heads
from aldis.adapters.sql.sqlite_engine import open_sqlite_engine
from aldis.adapters.sql.sweeps import Sweeps
from aldis.domain.callers import ApiKey
from aldis.domain.channels import Channel
from aldis.domain.devices import Device
from aldis.domain.errors import AldisError
from aldis.domain.ids import ConversationId, DeviceId, MessageId, UserId
from aldis.domain.messages import Kind, Message
from aldis.domain.status import Passage
from aldis.domain.streams import BROADCASTS, LaneHead, Source
from aldis.ports.store import Conversation, ConversationRow, Entry, StateEntry, Transaction, Want

WRITERS = 4  # groups of sends at once, unless somebody says how many

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

    def __init__(self, engine: Engine) -> None:
        self.epoch = engine.epoch
        self._engine = engine
        self._dialect = engine.dialect
        self._known_blocks = KnownBlocks()

    @property
    def concurrent_writers(self) -> int:
        """As many as the engine has."""
        return self._engine.writers

    async def run(self, recipe: Callable[[Transaction], Coroutine[Any, Any, T]]) -> T:
        """Run a recipe as one transaction."""
        return await self._engine.run(lambda connection: recipe(self._transaction(connection)))

    def begin(self) -> AbstractAsyncContextManager[SqlTransaction]:
        """Open a transaction."""
        return self._begin()

    @asynccontextmanager
    async def _begin(self) -> AsyncGenerator[SqlTransaction]:
        async with self._engine.begin() as connection:
            yield self._transaction(connection)

    def _transaction(self, connection: Executing) -> SqlTransaction:
        return SqlTransaction(connection, self._dialect, self._known_blocks)

    async def _read(self, recipe: Callable[[Executing], Coroutine[Any, Any, T]]) -> T:
        return await self._engine.read(recipe)

    async def _read_copy(self, recipe: Callable[[Executing], Coroutine[Any, Any, T]]) -> T:
        return await self._engine.read_copy(recipe)

    async def keep_up(self, now: int, *, records_before: int) -> None:
        """As the engine does it."""
        await self._engine.keep_up(now, records_before=records_before)

    async def scrub(self) -> bool:
        """As the engine does it."""
        return await self._engine.scrub()

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
        return await self._read(lambda connection: reads.read_message_in_place(connection, self._dialect, message_id))

    async def passages(self, message: Message, users: Sequence[UserId]) -> dict[UserId, tuple[int, list[Passage]]]:
        """What passed a message."""
        return await self._read(lambda connection: reads.read_passages(connection, message, users))

    async def conversation(self, conversation: ConversationId) -> Conversation | None:
        """One conversation."""
        found = await self._read(lambda connection: read_conversations(connection, self._dialect, [conversation]))
        return found.get(conversation)

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
        return await self._read_copy(
            lambda connection: reads.read_conversation_rows(
                connection, self._dialect, user, kind, before, limit, archived=archived
            )
        )

    async def history(
        self, conversation: ConversationId, *, before: int | None, after: int | None, above: int = 0, limit: int
    ) -> list[Message]:
        """A page of a conversation."""
        return await self._read_copy(
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
async def open_sql_store(
    url: str, *, now_ms: int, writers: int = WRITERS, read_url: str | None = None, may_migrate: bool = True
) -> AsyncGenerator[SqlStore]:
    """Bring the schema up to date and open the store: `sqlite:///file`, or `postgresql://` as libpq writes it.

    `writers` is how many groups of sends are stored at once, where a database can do that; `read_url` names PostgreSQL
    replicas for reads that are long. Without `may_migrate` the schema of a PostgreSQL database must be up to date, or
    ahead by what this program can live with; an empty one gets its tables all the same.

    Raises `AldisError` when the URL is neither, or the database cannot be used, or its schema is not for this program.
    """
    if is_postgres_url(url):
        from aldis.adapters.sql.postgres_engine import open_postgres_engine  # noqa: PLC0415 - slow to import, rarely used

        async with open_postgres_engine(
            url, now_ms=now_ms, writers=writers, read_url=read_url, may_migrate=may_migrate
        ) as postgres:
            yield SqlStore(postgres)
    elif url.startswith("sqlite:"):
        async with open_sqlite_engine(url, now_ms=now_ms) as sqlite:
            yield SqlStore(sqlite)
    else:
        raise AldisError("the database's URL must begin with sqlite:/// or postgresql://")
