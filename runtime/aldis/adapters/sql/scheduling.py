"""Scheduled sends: rows that wait for their time, leased by the worker that sends them."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, Select, TextClause, delete, or_, select, text

from aldis.adapters.sql import schema
from aldis.adapters.sql.connection import Executing
from aldis.adapters.sql.dialect import Dialect
from aldis.adapters.sql.part import Part
from aldis.adapters.sql.reading import Reading
from aldis.adapters.sql.rows import to_message
from aldis.adapters.sql.windows import count_up_to
from aldis.domain.ids import ConversationId
from aldis.domain.messages import Message
from aldis.domain.scheduling import Lease, ScheduledId, ScheduledState, sent_scope
from aldis.ports.scheduling import Failure, ScheduledSend

_COLUMNS = ("id", "scope", "due_at:int", "draft", "state", "reason", "created_at:int", "leased_until:int")
_LEASED = "scheduled.id = w.id AND scheduled.leased_until = w.held"


def _put(dialect: Dialect) -> TextClause:
    names = ", ".join(column.partition(":")[0] for column in _COLUMNS)
    return text(f"INSERT INTO scheduled ({names}) SELECT * FROM {dialect.rows(*_COLUMNS)} w")


def _drop(dialect: Dialect) -> TextClause:
    leases = dialect.rows("id", "held:int")
    return text(f"DELETE FROM scheduled WHERE (id, leased_until) IN (SELECT id, held FROM {leases} w)")


def _postpone(dialect: Dialect) -> TextClause:
    rows = dialect.rows("id", "held:int", "until:int")
    return text(f"UPDATE scheduled SET leased_until = w.until FROM {rows} w WHERE {_LEASED}")


def _fail(dialect: Dialect) -> TextClause:
    rows = dialect.rows("id", "held:int", "draft", "reason", "forget_at:int")
    return text(
        f"UPDATE scheduled SET state = '{ScheduledState.FAILED.value}', draft = w.draft, reason = w.reason,"
        f" due_at = w.forget_at, leased_until = NULL FROM {rows} w WHERE {_LEASED}"
    )


def _sent(dialect: Dialect) -> TextClause:
    return text(f"SELECT k.scope, k.key FROM {dialect.rows('scope')} w JOIN idempotency_keys k ON k.scope = w.scope")


class Scheduling(Part):
    """The part of an open transaction."""

    async def put_scheduled(self, sends: Sequence[ScheduledSend]) -> None:
        """Insert rows."""
        if sends:
            await self._run(_put, [(*send[:4], send.state.value, *send[5:]) for send in sends])

    async def lease_scheduled(self, now: int, until: int, limit: int) -> list[ScheduledSend]:
        """Along the index of what waits."""
        table = schema.scheduled
        statement = (
            select(table)
            .where(
                table.c.state == ScheduledState.WAITING.value,
                table.c.due_at <= now,
                or_(table.c.leased_until.is_(None), table.c.leased_until <= now),
            )
            .order_by(table.c.due_at, table.c.created_at, table.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)  # SQLite has one writer, and leaves it out
        )
        rows = (await self._connection.execute(statement)).all()
        if rows:
            taken = table.update().where(table.c.id.in_([row.id for row in rows])).values(leased_until=until)
            await self._connection.execute(taken)
        return [_to_send(row)._replace(leased_until=until) for row in rows]

    async def leases_held(self, leases: Collection[Lease]) -> set[Lease]:
        """Lock the rows, then look whose they are."""
        table = schema.scheduled
        statement = (
            select(table.c.scope, table.c.id, table.c.leased_until)
            .where(table.c.id.in_([lease.id for lease in leases]), table.c.state == ScheduledState.WAITING.value)
            .with_for_update(read=True)
        )
        return {Lease(*row) for row in await self._connection.execute(statement)} & set(leases)

    async def drop_leased(self, leases: Collection[Lease]) -> int:
        """Delete rows."""
        return int((await self._run(_drop, [lease[1:] for lease in leases])).rowcount) if leases else 0

    async def postpone_leased(self, leases: Collection[Lease], until: int) -> None:
        """Move the lease's end."""
        if leases:
            await self._run(_postpone, [(*lease[1:], until) for lease in leases])

    async def fail_leased(self, failures: Sequence[Failure]) -> int:
        """Update rows."""
        if not failures:
            return 0
        rows = [(*failure.lease[1:], failure.draft, failure.reason, failure.forget_at) for failure in failures]
        return int((await self._run(_fail, rows)).rowcount)

    async def lock_scheduled(self, scheduled: ScheduledId) -> ScheduledSend | None:
        """One row."""
        statement = _one(scheduled).with_for_update()
        row = (await self._connection.execute(statement)).first()
        return _to_send(row) if row is not None else None

    async def drop_scheduled(self, scheduled: ScheduledId) -> None:
        """Delete a row."""
        await self._connection.execute(delete(schema.scheduled).where(schema.scheduled.c.id == scheduled))

    async def sent_from(self, leases: Collection[Lease]) -> dict[Lease, set[ConversationId]]:
        """By the beginning of the keys' index."""
        found: dict[Lease, set[ConversationId]] = {}
        if not leases:
            return found
        by_scope = {lease.claim_scope: lease for lease in leases}
        for scope, key in await self._run(_sent, [(scope,) for scope in by_scope]):
            found.setdefault(by_scope[scope], set()).add(ConversationId(key))
        return found

    async def forget_failed(self, now: int, limit: int) -> int:
        """Along the index of what has failed."""
        table = schema.scheduled
        chosen = (
            select(table.c.id)
            .where(table.c.state == ScheduledState.FAILED.value, table.c.due_at <= now)
            .order_by(table.c.due_at)
            .limit(limit)
        )
        ids = [identifier for (identifier,) in await self._connection.execute(chosen)]
        if ids:
            await self._connection.execute(delete(table).where(table.c.id.in_(ids)))
        return len(ids)


class SchedulingReads(Reading):
    """The part of the store."""

    async def next_scheduled(self) -> int | None:
        """The low end of the index of what waits."""
        table = schema.scheduled
        waiting = select(table.c.due_at).where(table.c.state == ScheduledState.WAITING.value)
        row = await self._first(waiting.order_by(table.c.due_at))
        return int(row.due_at) if row is not None else None

    async def scheduled(self, scheduled: ScheduledId) -> ScheduledSend | None:
        """One row."""
        row = await self._first(_one(scheduled))
        return _to_send(row) if row is not None else None

    async def scheduled_of(self, owner: str, after: ScheduledId | None, limit: int) -> list[ScheduledSend]:
        """A page along the index of owners."""
        table = schema.scheduled
        statement = select(table).where(table.c.scope == owner).order_by(table.c.id).limit(limit)
        if after is not None:
            statement = statement.where(table.c.id > after)
        return [_to_send(row) for row in await self._all(statement)]

    async def sent_messages(self, owner: str, scheduled: ScheduledId, limit: int) -> list[Message]:
        """By their keys."""
        keys, messages = schema.idempotency_keys, schema.messages
        statement = (
            select(messages)
            .join_from(keys, messages, messages.c.id == keys.c.message_id)
            .where(keys.c.scope == sent_scope(owner, scheduled))
            .order_by(keys.c.key)
            .limit(limit)
        )
        return [to_message(row) for row in await self._all(statement)]

    async def count_waiting(self, most: int) -> int:
        """Count rows of the index, not more than wanted."""
        table = schema.scheduled
        waiting = select(table.c.id).where(table.c.state == ScheduledState.WAITING.value)

        async def read(connection: Executing) -> int:
            return await count_up_to(connection, waiting, most)

        return await self._read(read)


def _one(scheduled: ScheduledId) -> Select[Any]:
    return select(schema.scheduled).where(schema.scheduled.c.id == scheduled)


def _to_send(row: Row[Any]) -> ScheduledSend:
    return ScheduledSend(
        id=row.id,
        owner=row.scope,
        due_at=row.due_at,
        draft=row.draft,
        state=ScheduledState(row.state),
        reason=row.reason,
        created_at=row.created_at,
        leased_until=row.leased_until,
    )
