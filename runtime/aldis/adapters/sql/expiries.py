"""The part of a transaction that looks after messages whose time is over."""

from collections.abc import Sequence

from sqlalchemy import TextClause, select, text

from aldis.adapters.sql import schema
from aldis.adapters.sql.dialect import Dialect
from aldis.adapters.sql.open_entries import OPEN
from aldis.adapters.sql.part import Part
from aldis.domain.ids import MessageId, UserId
from aldis.domain.streams import Lane
from aldis.ports.deliveries import OpenEntry


def _put_expiries(dialect: Dialect) -> TextClause:
    return text(
        "INSERT INTO expiries (expires_at, message_id) SELECT * FROM "
        f"{dialect.rows('expires_at:int', 'message_id')} w WHERE true ON CONFLICT DO NOTHING"
    )


def delete_expiries(dialect: Dialect) -> TextClause:
    """Delete rows by key."""
    rows = dialect.rows("expires_at:int", "id")
    return text(f"DELETE FROM expiries WHERE (expires_at, message_id) IN (SELECT expires_at, id FROM {rows} w)")


def _lanes_with(dialect: Dialect) -> TextClause:
    return text(
        f"SELECT DISTINCT e.user_id, e.lane FROM {dialect.rows('id')} w"
        " JOIN stream_events e ON e.message_id = w.id WHERE NOT e.own AND e.type IS NULL"
    )


def _open_entries(dialect: Dialect) -> TextClause:
    attempts = (
        "COALESCE((SELECT MAX(r.attempt) FROM rings r WHERE r.user_id = e.user_id AND r.lane = e.lane"
        " AND r.high >= e.seq AND r.low < e.seq AND r.channel = c.channel), 0)"
    )
    return text(
        f"SELECT e.user_id, e.lane, c.channel, e.seq, e.message_id, e.conversation_id, {attempts} FROM "
        f"{dialect.rows('id')} w JOIN stream_events e ON e.message_id = w.id{OPEN} ORDER BY e.user_id, e.lane, e.seq"
    )


class Expiries(Part):
    """Expiries of one open transaction."""

    async def put_expiries(self, expiries: Sequence[tuple[int, MessageId]]) -> None:
        """Insert rows."""
        if expiries:
            await self._write(_put_expiries, sorted(expiries))

    async def due_expiries(self, now: int, limit: int) -> list[tuple[int, MessageId]]:
        """The low end of the key."""
        table = schema.expiries
        due = select(table.c.expires_at, table.c.message_id).where(table.c.expires_at <= now)
        rows = await self._connection.execute(due.order_by(table.c.expires_at, table.c.message_id).limit(limit))
        return [(int(at), MessageId(message)) for at, message in rows]

    async def delete_expiries(self, expiries: Sequence[tuple[int, MessageId]]) -> None:
        """Delete rows by key."""
        if expiries:
            await self._run(delete_expiries, expiries)

    async def lanes_with(self, messages: Sequence[MessageId]) -> list[tuple[UserId, Lane]]:
        """By the index of entries by message."""
        rows = await self._run(_lanes_with, [(message,) for message in messages]) if messages else ()
        return [(UserId(user), lane) for user, lane in rows]

    async def open_entries(self, messages: Sequence[MessageId]) -> list[OpenEntry]:
        """By the same index; how often was rung is told by the ring that covers an entry."""
        rows = await self._run(_open_entries, [(message,) for message in messages]) if messages else ()
        return [OpenEntry(*row) for row in rows]
