"""The part of a transaction that stores messages: keys, conversations, lanes, rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import and_, bindparam, case, delete, func, select, text

from aldis.adapters.sql import schema
from aldis.adapters.sql.connection import Executing
from aldis.adapters.sql.dialect import Dialect, as_rows
from aldis.adapters.sql.rows import from_message, to_conversations, to_message
from aldis.domain.ids import ConversationId, MessageId, UserId
from aldis.domain.messages import Message
from aldis.domain.streams import LaneHead, Source
from aldis.ports.store import Conversation, Growth, KeyClaim, KeyHolder, LaneEntry, State


class Sends:
    """Bulk writes of one open transaction."""

    def __init__(self, connection: Executing, dialect: Dialect) -> None:
        self._connection = connection
        self._dialect = dialect

    async def claim_keys(self, claims: Sequence[KeyClaim]) -> dict[tuple[str, str], KeyHolder]:
        """Insert the free ones, read the holders of the others."""
        if not claims:
            return {}
        keys = schema.idempotency_keys
        statement = self._dialect.insert(keys).on_conflict_do_nothing().returning(keys.c.scope, keys.c.key)
        rows = [claim._asdict() for claim in sorted(claims)]
        taken = {(row[0], row[1]) for row in await self._connection.execute(statement, rows)}
        held = [(claim.scope, claim.key) for claim in claims if (claim.scope, claim.key) not in taken]
        return await self._key_holders(held) if held else {}

    async def _key_holders(self, held: Sequence[tuple[str, str]]) -> dict[tuple[str, str], KeyHolder]:
        statement = text(
            "SELECT k.scope, k.key, k.message_id, k.fingerprint FROM "  # noqa: S608 - fixed column names only
            f"{self._dialect.rows('scope', 'key')} w JOIN idempotency_keys k ON k.scope = w.scope AND k.key = w.key"
        )
        rows = await self._connection.execute(statement, as_rows(held))
        return {(scope, key): KeyHolder(MessageId(message), mark) for scope, key, message, mark in rows}

    async def release_keys(self, keys: Sequence[tuple[str, str]]) -> None:
        """Delete rows."""
        if not keys:
            return
        table = schema.idempotency_keys
        statement = delete(table).where(and_(table.c.scope == bindparam("its"), table.c.key == bindparam("name")))
        await self._connection.execute(statement, [{"its": scope, "name": key} for scope, key in sorted(keys)])

    async def conversations(self, ids: Sequence[ConversationId]) -> dict[ConversationId, Conversation]:
        """Conversations with their members."""
        return await read_conversations(self._connection, ids)

    async def extend_conversations(self, growths: Sequence[Growth]) -> dict[ConversationId, int]:
        """Upsert the heads; make the members of those that are new."""
        if not growths:
            return {}
        table = schema.conversations
        insert = self._dialect.insert(table)
        statement = insert.on_conflict_do_update(
            index_elements=[table.c.id],
            set_={
                "head_seq": table.c.head_seq + insert.excluded.head_seq,
                "last_message_id": insert.excluded.last_message_id,
            },
        ).returning(table.c.id, table.c.head_seq)
        ordered = sorted(growths, key=lambda growth: growth.conversation.id)
        rows = [
            {
                "id": growth.conversation.id,
                "kind": growth.conversation.kind.value,
                "channel": growth.conversation.channel,
                "head_seq": growth.more,
                "last_message_id": growth.last_message_id,
            }
            for growth in ordered
        ]
        heads = {ConversationId(row[0]): int(row[1]) for row in await self._connection.execute(statement, rows)}
        await self._add_members([g.conversation for g in ordered if heads[g.conversation.id] == g.more])
        return heads

    async def _add_members(self, new: Sequence[Conversation]) -> None:
        rows = [{"conversation_id": c.id, "user_id": user} for c in new for user in sorted(c.members)]
        if rows:
            await self._connection.execute(self._dialect.insert(schema.members).on_conflict_do_nothing(), rows)

    async def count_own(self, totals: Mapping[tuple[ConversationId, UserId], int]) -> None:
        """Add to the members' own totals."""
        if not totals:
            return
        table = schema.members
        statement = (
            table.update()
            .where(and_(table.c.conversation_id == bindparam("at"), table.c.user_id == bindparam("who")))
            .values(own_total=table.c.own_total + bindparam("more"))
        )
        rows = [{"at": key[0], "who": key[1], "more": more} for key, more in sorted(totals.items())]
        await self._connection.execute(statement, rows)

    async def extend_sources(
        self, counts: Mapping[tuple[UserId, Source], int], due: Mapping[tuple[UserId, Source], int]
    ) -> dict[tuple[UserId, Source], int]:
        """Upsert the heads of sources; a lane that was given up or had nothing open is rung anew."""
        if not counts:
            return {}
        table = schema.stream_heads
        insert = self._dialect.insert(table)
        statement = insert.on_conflict_do_update(
            index_elements=[table.c.user_id, table.c.source],
            set_={
                "seq": table.c.seq + insert.excluded.seq,
                "due_at": func.coalesce(table.c.due_at, insert.excluded.due_at),
                "attempt": case((table.c.due_at.is_(None), 0), else_=table.c.attempt),
            },
        ).returning(table.c.user_id, table.c.source, table.c.seq)
        rows = [
            {"user_id": key[0], "source": key[1], "seq": count, "due_at": due.get(key)}
            for key, count in sorted(counts.items())
        ]
        return {(row[0], row[1]): int(row[2]) for row in await self._connection.execute(statement, rows)}

    async def insert_messages(self, messages: Sequence[Message]) -> None:
        """Store rows."""
        if not messages:
            return
        await self._connection.execute(schema.messages.insert(), [from_message(message) for message in messages])

    async def insert_entries(self, entries: Sequence[LaneEntry]) -> None:
        """Store rows."""
        if not entries:
            return
        rows: list[dict[str, Any]] = [
            {
                "user_id": entry.user,
                "lane": entry.lane,
                "seq": entry.seq,
                "message_id": entry.message_id,
                "conversation_id": entry.conversation_id,
                "conversation_seq": entry.conversation_seq,
                "own": entry.own,
            }
            for entry in entries
        ]
        await self._connection.execute(schema.stream_events.insert(), rows)

    async def put_states(self, states: Sequence[State], versions: Sequence[int]) -> None:
        """Upsert rows of `r`."""
        if not states:
            return
        table = schema.states
        insert = self._dialect.insert(table)
        statement = insert.on_conflict_do_update(
            index_elements=[table.c.user_id, table.c.key],
            set_={"version": insert.excluded.version, "type": insert.excluded.type, "value": insert.excluded.value},
        )
        rows = [
            {
                "user_id": state.user,
                "key": state.key,
                "version": version,
                "type": state.type,
                "value": state.value.decode(),
            }
            for state, version in zip(states, versions, strict=True)
        ]
        await self._connection.execute(statement, rows)

    async def put_outbox(self, topic: str, payload: bytes, at: int) -> None:
        """Store an event row."""
        await self._connection.execute(
            schema.outbox.insert(), {"topic": topic, "payload": payload, "created_at": at, "leased_until": None}
        )

    async def messages(self, ids: Sequence[MessageId]) -> dict[MessageId, Message]:
        """Messages by id."""
        rows = await self._connection.execute(select(schema.messages).where(schema.messages.c.id.in_(ids)))
        return {message.id: message for message in map(to_message, rows)}

    async def heads(self, users: Sequence[UserId]) -> dict[tuple[UserId, Source], LaneHead]:
        """Heads of sources."""
        return await read_heads(self._connection, self._dialect, users)


async def read_conversations(
    connection: Executing, ids: Sequence[ConversationId]
) -> dict[ConversationId, Conversation]:
    """Conversations with their members, in one query."""
    if not ids:
        return {}
    table, members = schema.conversations, schema.members
    statement = (
        select(table.c.id, table.c.kind, table.c.channel, members.c.user_id)
        .join_from(table, members, members.c.conversation_id == table.c.id)
        .where(table.c.id.in_(ids))
    )
    return to_conversations(await connection.execute(statement))


async def read_heads(
    connection: Executing, dialect: Dialect, users: Sequence[UserId]
) -> dict[tuple[UserId, Source], LaneHead]:
    """Heads of the users' sources, in one query."""
    statement = text(
        "SELECT h.user_id, h.source, h.seq, h.floor FROM "  # noqa: S608 - fixed column names only
        f"{dialect.rows('user_id')} w JOIN stream_heads h ON h.user_id = w.user_id"
    )
    rows = await connection.execute(statement, as_rows((user,) for user in users))
    return {(user, source): LaneHead(seq, floor) for user, source, seq, floor in rows}
