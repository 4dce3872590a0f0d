"""Erasing a user, in bounded steps; each runs inside an open transaction.

What is deleted is overwritten by the database itself (`secure_delete`, see dialect.py); `scrub` sees to the log.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Table, TextClause, bindparam, delete, select, text

from aldis.adapters.sql import schema
from aldis.adapters.sql.dialect import Dialect
from aldis.adapters.sql.part import Part
from aldis.adapters.sql.reading import Reading
from aldis.adapters.sql.rows import to_message
from aldis.domain.erasures import ErasureState
from aldis.domain.ids import ConversationId, UserId
from aldis.domain.messages import Message
from aldis.ports.erasures import Erasure, Unerased

_ABOUT_ONE_USER: tuple[tuple[Table, str], ...] = (
    (schema.stream_events, "user_id"),
    (schema.states, "user_id"),
    (schema.cursor_moves, "user_id"),
    (schema.rings, "user_id"),
    (schema.attempts, "user_id"),
    (schema.dead_letters, "recipient"),
    (schema.replays, "recipient"),
    (schema.devices, "user_id"),
    (schema.subscriptions, "user_id"),
    (schema.blocks, "user_id"),
    (schema.blocks, "blocked"),
)


def _purge(dialect: Dialect) -> TextClause:
    return text(
        "UPDATE messages SET content = NULL, gone = 'purged', client_id = NULL, edited_at = NULL"
        f" WHERE id IN (SELECT id FROM {dialect.rows('id')} w)"
    )


def _forget_keys(dialect: Dialect) -> TextClause:
    return text(
        f"DELETE FROM idempotency_keys WHERE (scope, key) IN (SELECT scope, key FROM {dialect.rows('scope', 'key')} w)"
    )


def _forget_states(dialect: Dialect) -> TextClause:
    rows = dialect.rows("user_id", "key")
    return text(f"DELETE FROM states WHERE (user_id, key) IN (SELECT user_id, key FROM {rows} w)")


class Erasures(Part):
    """The part of an open transaction."""

    async def put_erasure(self, erasure: Erasure) -> None:
        """Upsert a row."""
        table = schema.erasures
        insert = self._dialect.insert(table)
        changed = {c.name: insert.excluded[c.name] for c in table.c if c.name != "user_id"}
        row = {**erasure._asdict(), "state": erasure.state.value}
        row["user_id"] = row.pop("user")
        await self._connection.execute(
            insert.on_conflict_do_update(index_elements=[table.c.user_id], set_=changed), row
        )

    async def erasure_of(self, user: UserId) -> Erasure | None:
        """One row."""
        table = schema.erasures
        found = select(table).where(table.c.user_id == user).with_for_update()
        row = (await self._connection.execute(found)).first()
        return _to_erasure(row) if row is not None else None

    async def next_unerased(self, user: UserId, after: str) -> Unerased | None:
        """Conversations in the order of their ids; what a member may no longer see has been looked at."""
        members, table = schema.members, schema.conversations
        statement = (
            select(table.c.id, members.c.from_seq, table.c.head_seq)
            .join_from(members, table, table.c.id == members.c.conversation_id)
            .where(
                members.c.user_id == user,
                members.c.conversation_id > after,
                table.c.head_seq > members.c.from_seq,
                ~table.c.broadcast,
            )
            .order_by(members.c.conversation_id)
            .limit(1)
        )
        row = (await self._connection.execute(statement)).first()
        return Unerased(ConversationId(row[0]), row[1], row[2]) if row is not None else None

    async def messages_between(self, conversation: ConversationId, low: int, high: int) -> list[Message]:
        """A range of the key."""
        table = schema.messages
        statement = (
            select(table)
            .where(table.c.conversation_id == conversation, table.c.seq > low, table.c.seq <= high)
            .order_by(table.c.seq)
        )
        return [to_message(row) for row in await self._connection.execute(statement)]

    async def purge_messages(self, messages: Sequence[Message]) -> None:
        """Contents, and the keys under which they were sent."""
        if not messages:
            return
        await self._run(_purge, [(message.id,) for message in messages])
        keys = [(m.sender.scope, f"c:{m.client_id}") for m in messages if m.client_id is not None]
        await self._run(_forget_keys, keys)

    async def forget_states(self, keys: Sequence[tuple[UserId, str]]) -> None:
        """Rows by key."""
        if keys:
            await self._run(_forget_states, keys)

    async def scheduled_drafts(self, after: str, limit: int) -> list[tuple[str, str]]:
        """A range of the key."""
        table = schema.scheduled
        statement = select(table.c.id, table.c.draft).where(table.c.id > after).order_by(table.c.id).limit(limit)
        return [(identifier, draft) for identifier, draft in await self._connection.execute(statement)]

    async def replace_drafts(self, drafts: Sequence[tuple[str, str | None]]) -> None:
        """Update or delete rows."""
        table = schema.scheduled
        gone = [identifier for identifier, draft in drafts if draft is None]
        kept = [{"which": identifier, "now": draft} for identifier, draft in drafts if draft is not None]
        if gone:
            await self._connection.execute(delete(table).where(table.c.id.in_(gone)))
        if kept:
            change = table.update().where(table.c.id == bindparam("which"))
            change = change.values(draft=bindparam("now"), leased_until=None)  # whoever is sending the old one may not
            await self._connection.execute(change, kept)

    async def forget_progress(self, user: UserId, conversation: ConversationId, looked: int) -> None:
        """A member as if he had just come, to whom all that is there is read."""
        table, conversations = schema.members, schema.conversations
        head = select(conversations.c.head_seq).where(conversations.c.id == conversation).scalar_subquery()
        await self._connection.execute(
            table.update()
            .where(table.c.conversation_id == conversation, table.c.user_id == user)
            .values(
                from_seq=looked,
                read_seq=head,
                own_read=table.c.own_total,
                delivered_express=0,
                delivered_standard=0,
                muted=False,
                archived=False,
            )
        )

    async def forget_rows(self, user: UserId, limit: int) -> int:
        """One table after the other; his lanes are closed first, so that none shows a hole as if it were whole."""
        await self._close_sources(user)
        dropped = 0
        for table, owner in _ABOUT_ONE_USER:
            dropped += await self._drop(table, table.c[owner] == user, limit - dropped)
            if dropped >= limit:
                return dropped
        keys, members = schema.idempotency_keys, schema.members
        dropped += await self._drop(keys, keys.c.scope == f"u:{user}", limit - dropped)
        listening = select(schema.conversations.c.id).where(schema.conversations.c.broadcast)
        is_listener = (members.c.user_id == user) & members.c.conversation_id.in_(listening)
        return dropped + await self._drop(members, is_listener, limit - dropped)

    async def _close_sources(self, user: UserId) -> None:
        """Nothing is open, due or retained; the next position is the one that it would have been."""
        heads = schema.stream_heads
        closed = {"floor": heads.c.seq, "acked": heads.c.seq, "run_low": heads.c.seq}
        await self._connection.execute(
            heads.update().where(heads.c.user_id == user).values(**closed, due_at=None, rings=0, failed=0)
        )

    async def forget_user(self, user: UserId) -> None:
        """The row that says that he has ever come."""
        await self._close_sources(user)
        await self._connection.execute(delete(schema.users).where(schema.users.c.user_id == user))


class ErasureReads(Reading):
    """The part of the store."""

    async def erasure(self, user: UserId) -> Erasure | None:
        """One row."""
        table = schema.erasures
        row = await self._first(select(table).where(table.c.user_id == user))
        return _to_erasure(row) if row is not None else None

    async def next_erasure(self) -> Erasure | None:
        """The oldest that is open, by an index of those alone."""
        table = schema.erasures
        row = await self._first(select(table).where(table.c.state != "done").order_by(table.c.requested_at))
        return _to_erasure(row) if row is not None else None


def _to_erasure(row: Row[Any]) -> Erasure:
    return Erasure(
        user=UserId(row.user_id),
        state=ErasureState(row.state),
        after=row.after,
        purged=row.purged,
        requested_at=row.requested_at,
        updated_at=row.updated_at,
    )
