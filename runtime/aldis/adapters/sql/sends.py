"""The part of a transaction that stores messages: keys, conversations, lanes, rows."""

from collections.abc import Mapping, Sequence

from sqlalchemy import BigInteger, TextClause, text

from aldis.adapters.sql import schema
from aldis.adapters.sql.connection import Executing
from aldis.adapters.sql.dialect import Dialect, as_rows
from aldis.adapters.sql.part import Part
from aldis.adapters.sql.rows import to_conversations, to_message, values_of
from aldis.domain.ids import ConversationId, MessageId, UserId
from aldis.domain.messages import Message
from aldis.domain.streams import MESSAGE, LaneHead, Source
from aldis.ports.store import Conversation, Growth, KeyClaim, KeyHolder, LaneEntry, State


def _claim(dialect: Dialect) -> TextClause:
    return text(
        "INSERT INTO idempotency_keys (scope, key, message_id, fingerprint, expires_at) SELECT * FROM "
        f"{dialect.rows('scope', 'key', 'message_id', 'fingerprint', 'expires_at:int')} w WHERE true"
        " ON CONFLICT DO NOTHING RETURNING scope, key"
    )


def _key_holders(dialect: Dialect) -> TextClause:
    return text(
        "SELECT k.scope, k.key, k.message_id, k.fingerprint FROM "
        f"{dialect.rows('scope', 'key')} w JOIN idempotency_keys k ON k.scope = w.scope AND k.key = w.key"
    )


def _release(dialect: Dialect) -> TextClause:
    return text(
        f"DELETE FROM idempotency_keys WHERE (scope, key) IN (SELECT scope, key FROM {dialect.rows('scope', 'key')} w)"
    )


def _extend_conversations(dialect: Dialect) -> TextClause:
    return text(
        "INSERT INTO conversations (id, kind, channel, head_seq, last_message_id, broadcast) SELECT * FROM "
        f"{dialect.rows('id', 'kind', 'channel', 'more:int', 'last_message_id', 'broadcast:bool')} w WHERE true"
        " ON CONFLICT (id) DO UPDATE SET head_seq = conversations.head_seq + excluded.head_seq,"
        " last_message_id = excluded.last_message_id RETURNING id, head_seq"
    )


def _add_members(dialect: Dialect) -> TextClause:
    return text(
        "INSERT INTO members (conversation_id, user_id) SELECT * FROM "
        f"{dialect.rows('conversation_id', 'user_id')} w WHERE true ON CONFLICT DO NOTHING"
    )


def _count_own(dialect: Dialect) -> TextClause:
    rows = dialect.rows("conversation_id", "user_id", "more:int")
    return text(
        "UPDATE members SET own_total = own_total + w.more FROM "
        f"{dialect.held('members', rows, 'conversation_id', 'user_id')} w"
        " WHERE members.conversation_id = w.conversation_id AND members.user_id = w.user_id"
    )


def _extend_sources(dialect: Dialect) -> TextClause:
    return text(
        "INSERT INTO stream_heads (user_id, source, seq, due_at) SELECT * FROM "
        f"{dialect.rows('user_id', 'source', 'more:int', 'due_at:int')} w WHERE true"
        " ON CONFLICT (user_id, source) DO UPDATE SET seq = stream_heads.seq + excluded.seq,"
        " due_at = CASE WHEN stream_heads.due_at IS NULL OR excluded.due_at < stream_heads.due_at"
        " THEN excluded.due_at ELSE stream_heads.due_at END"
        " RETURNING user_id, source, seq"
    )


def _conversations(dialect: Dialect) -> TextClause:
    # The members of a broadcast channel may be a million: nobody who asks for a conversation wants them.
    return text(
        f"SELECT c.id, c.kind, c.channel, c.broadcast, m.user_id FROM {dialect.rows('id')} w"
        " JOIN conversations c ON c.id = w.id LEFT JOIN members m ON m.conversation_id = c.id AND NOT c.broadcast"
        " ORDER BY c.id, m.user_id"
    )


def _messages(dialect: Dialect) -> TextClause:
    names = ", ".join(f"m.{column.name}" for column in schema.messages.c)
    return text(f"SELECT {names} FROM {dialect.rows('id')} w JOIN messages m ON m.id = w.id")


def _heads(dialect: Dialect) -> TextClause:
    return text(
        "SELECT h.user_id, h.source, h.seq, h.floor FROM "
        f"{dialect.rows('user_id')} w JOIN stream_heads h ON h.user_id = w.user_id"
    )


def _insert_messages(dialect: Dialect) -> TextClause:
    names = [column.name for column in schema.messages.c]
    numbers = {column.name for column in schema.messages.c if isinstance(column.type, BigInteger)}
    rows = dialect.rows(*(f"{name}:int" if name in numbers else name for name in names))
    return text(f"INSERT INTO messages ({', '.join(names)}) SELECT * FROM {rows} w")


def _insert_entries(dialect: Dialect) -> TextClause:
    more = ("conversation_seq:int", "own:bool", "type", "revised_at:int")
    columns = ("user_id", "lane", "seq:int", "message_id", "conversation_id", *more)
    names = ", ".join(column.partition(":")[0] for column in columns)
    return text(f"INSERT INTO stream_events ({names}) SELECT * FROM {dialect.rows(*columns)} w")


def _put_states(dialect: Dialect) -> TextClause:
    return text(
        "INSERT INTO states (user_id, key, type, value, version) SELECT * FROM "
        f"{dialect.rows('user_id', 'key', 'type', 'value', 'version:int')} w WHERE true"
        " ON CONFLICT (user_id, key) DO UPDATE SET"
        " version = excluded.version, type = excluded.type, value = excluded.value"
    )


_PUT_OUTBOX = text("INSERT INTO outbox (topic, payload, created_at) VALUES (:topic, :payload, :at)")


class Sends(Part):
    """Bulk writes of one open transaction; each is one statement with all its rows in one parameter."""

    async def claim_keys(self, claims: Sequence[KeyClaim]) -> dict[tuple[str, str], KeyHolder]:
        """Insert the free ones, read the holders of the others."""
        if not claims:
            return {}
        taken = {(scope, key) for scope, key in (await self._run(_claim, sorted(claims))).all()}
        held = [(claim.scope, claim.key) for claim in claims if (claim.scope, claim.key) not in taken]
        if not held:
            return {}
        rows = await self._run(_key_holders, held)
        return {(scope, key): KeyHolder(MessageId(message), mark) for scope, key, message, mark in rows}

    async def release_keys(self, keys: Sequence[tuple[str, str]]) -> None:
        """Delete rows."""
        if keys:
            await self._run(_release, keys)

    async def conversations(self, ids: Sequence[ConversationId]) -> dict[ConversationId, Conversation]:
        """Conversations with their members."""
        return await read_conversations(self._connection, self._dialect, ids)

    async def extend_conversations(self, growths: Sequence[Growth]) -> dict[ConversationId, int]:
        """Upsert the heads; make the members of those that are new."""
        if not growths:
            return {}
        ordered = sorted(growths, key=lambda growth: growth.conversation.id)
        rows = [
            (of.id, of.kind, of.channel, more, last_message_id, of.broadcast) for of, more, last_message_id in ordered
        ]
        heads = {ConversationId(row[0]): int(row[1]) for row in (await self._run(_extend_conversations, rows)).all()}
        new = [growth.conversation for growth in ordered if heads[growth.conversation.id] == growth.more]
        if new:
            await self._run(_add_members, [(c.id, user) for c in new for user in sorted(c.members)])
        return heads

    async def count_own(self, totals: Mapping[tuple[ConversationId, UserId], int]) -> None:
        """Add to the members' own totals."""
        if totals:
            await self._run(_count_own, [(*key, more) for key, more in sorted(totals.items())])

    async def extend_sources(
        self, counts: Mapping[tuple[UserId, Source], int], due: Mapping[tuple[UserId, Source], int]
    ) -> dict[tuple[UserId, Source], int]:
        """Upsert the heads of sources."""
        if not counts:
            return {}
        rows = [(*key, more, due.get(key)) for key, more in sorted(counts.items())]
        return {(row[0], row[1]): int(row[2]) for row in (await self._run(_extend_sources, rows)).all()}

    async def insert_messages(self, messages: Sequence[Message]) -> None:
        """Store rows."""
        if messages:
            await self._write(_insert_messages, [values_of(message) for message in messages])

    async def insert_entries(self, entries: Sequence[LaneEntry]) -> None:
        """Store rows."""
        if entries:
            await self._write(
                _insert_entries, [(*e[:7], None if e.type == MESSAGE else e.type, e.revised_at) for e in entries]
            )

    async def put_states(self, states: Sequence[State], versions: Sequence[int]) -> None:
        """Upsert rows of `r`."""
        if states:
            rows = [
                (state.user, state.key, state.type, state.value.decode(), version)
                for state, version in zip(states, versions, strict=True)
            ]
            await self._run(_put_states, rows)

    async def put_outbox(self, topic: str, payload: bytes, at: int) -> None:
        """Store an event row."""
        await self._connection.write(_PUT_OUTBOX, {"topic": topic, "payload": payload, "at": at})

    async def messages(self, ids: Sequence[MessageId]) -> dict[MessageId, Message]:
        """Messages by id."""
        rows = await self._run(_messages, [(identifier,) for identifier in ids]) if ids else ()
        return {message.id: message for message in map(to_message, rows)}

    async def heads(self, users: Sequence[UserId]) -> dict[tuple[UserId, Source], LaneHead]:
        """Heads of sources."""
        return await read_heads(self._connection, self._dialect, users)


async def read_conversations(
    connection: Executing, dialect: Dialect, ids: Sequence[ConversationId]
) -> dict[ConversationId, Conversation]:
    """Conversations with their members, in one query."""
    if not ids:
        return {}
    rows = as_rows((identifier,) for identifier in ids)
    return to_conversations(await connection.execute(dialect.made(_conversations), rows))


async def read_heads(
    connection: Executing, dialect: Dialect, users: Sequence[UserId]
) -> dict[tuple[UserId, Source], LaneHead]:
    """Heads of the users' sources, in one query."""
    rows = await connection.execute(dialect.made(_heads), as_rows((user,) for user in users))
    return {(user, source): LaneHead(seq, floor) for user, source, seq, floor in rows}
