"""Revisions: edits and deletions of messages, and threads."""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import TextClause, select, text

from aldis.adapters.sql import schema
from aldis.adapters.sql.dialect import Dialect
from aldis.adapters.sql.expiries import delete_expiries
from aldis.adapters.sql.open_entries import count_failed
from aldis.adapters.sql.part import Part
from aldis.adapters.sql.reading import Reading
from aldis.adapters.sql.rows import from_message, to_message
from aldis.domain.ids import ConversationId, MessageId, UserId
from aldis.domain.messages import Message

_REVISED = ("content", "gone", "expires_at", "edited_at")  # all else of a message is for good


def _forget_dead_letters(dialect: Dialect) -> TextClause:
    return text(
        f"DELETE FROM dead_letters WHERE message_id IN (SELECT id FROM {dialect.rows('id')} w)"
        " RETURNING recipient, lane"
    )


class Revisions(Part):
    """The part of an open transaction."""

    async def lock_message(self, message_id: MessageId) -> Message | None:
        """One row, held where the database locks rows; SQLite has one writer and says nothing of it."""
        table = schema.messages
        statement = select(table).where(table.c.id == message_id).with_for_update()
        row = (await self._connection.execute(statement)).first()
        return to_message(row) if row is not None else None

    async def put_revision(self, message: Message) -> None:
        """Update one row."""
        table, row = schema.messages, from_message(message)
        await self._connection.execute(
            table.update().where(table.c.id == message.id).values({name: row[name] for name in _REVISED})
        )

    async def forget_waiting(self, messages: Sequence[Message]) -> None:
        """Delete rows, and count lanes' failures down by the dead letters among them."""
        ids = [(message.id,) for message in messages]
        failed = Counter((user, lane) for user, lane in await self._run(_forget_dead_letters, ids)) if ids else None
        if failed:
            await self._run(count_failed, [(*lane, -count) for lane, count in sorted(failed.items())])
        expiring = sorted((m.expires_at, m.id) for m in messages if m.expires_at is not None)
        if expiring:
            await self._run(delete_expiries, expiring)

    async def members_from(self, conversation: ConversationId) -> dict[UserId, int]:
        """Members by key."""
        table = schema.members
        statement = select(table.c.user_id, table.c.from_seq).where(table.c.conversation_id == conversation)
        return {UserId(user): seq for user, seq in await self._connection.execute(statement)}


class RevisionReads(Reading):
    """The part of the store."""

    async def thread(
        self, root: Message, *, before: int | None, after: int | None, above: int = 0, limit: int
    ) -> list[Message]:
        """A range of the index of replies, and the first message before or behind it."""
        table = schema.messages
        low = max(above, after or 0)
        statement = select(table).where(table.c.thread_id == root.id, table.c.seq > low).limit(limit)
        if before is not None and after is None:
            statement = statement.where(table.c.seq < before)
        order = table.c.seq if after is not None else table.c.seq.desc()
        replies = [to_message(row) for row in await self._all(statement.order_by(order), copy=True)]
        is_in = root.seq > low and (before is None or after is not None or root.seq < before)
        first = [root] if is_in else []
        return ([*first, *replies] if after is not None else [*replies, *first])[:limit]
