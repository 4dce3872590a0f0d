"""Relations: blocks, acquaintances, and members' settings of conversations."""

from collections.abc import Sequence

from sqlalchemy import TextClause, func, select, text

from aldis.adapters.sql import schema
from aldis.adapters.sql.connection import Executing
from aldis.adapters.sql.dialect import Dialect, as_rows
from aldis.adapters.sql.part import Part
from aldis.adapters.sql.reading import Reading
from aldis.adapters.sql.reads import read_conversation_row
from aldis.adapters.sql.sends import read_conversations
from aldis.domain.ids import ConversationId, UserId
from aldis.ports.relations import Block, MemberSettings, Pair
from aldis.ports.store import Conversation, ConversationRow


def _blocked_pairs(dialect: Dialect) -> TextClause:
    return text(
        f"SELECT w.first, w.second FROM {dialect.rows('first', 'second')} w"
        " WHERE EXISTS (SELECT 1 FROM blocks b WHERE b.user_id = w.first AND b.blocked = w.second)"
        " OR EXISTS (SELECT 1 FROM blocks b WHERE b.user_id = w.second AND b.blocked = w.first)"
    )


def _acquaintances(dialect: Dialect) -> TextClause:
    # From the one user's conversations outwards (SQLite keeps the order of CROSS JOIN), so that it costs with their
    # number.
    return text(
        "SELECT DISTINCT theirs.user_id FROM members mine CROSS JOIN conversations c CROSS JOIN members theirs"
        " WHERE c.id = mine.conversation_id AND c.kind = 'chat'"
        " AND c.head_seq > mine.from_seq"  # one who was erased and came back knows nobody from before
        " AND theirs.conversation_id = mine.conversation_id AND c.head_seq > theirs.from_seq"
        f" AND mine.user_id = :user AND theirs.user_id IN (SELECT other FROM {dialect.rows('other')} w)"
        " AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.user_id = mine.user_id AND b.blocked = theirs.user_id)"
        " AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.user_id = theirs.user_id AND b.blocked = mine.user_id)"
    )


class Relations(Part):
    """The part of an open transaction."""

    async def blocked_pairs(self, pairs: Sequence[Pair]) -> set[Pair]:
        """Look up those that may be, in one statement, by key in both directions."""
        if not await self._known_blocks.may_concern(self._connection, pairs):
            return set()
        return await read_blocked_pairs(self._connection, self._dialect, pairs)

    async def put_block(self, user: UserId, other: UserId, at: int) -> bool:
        """Insert, unless it is there."""
        self._known_blocks.add(user, other)
        insert = self._dialect.insert(schema.blocks).on_conflict_do_nothing()
        row = {"user_id": user, "blocked": other, "created_at": at}
        done = await self._connection.execute(insert, row)
        return bool(done.rowcount)

    async def delete_block(self, user: UserId, other: UserId) -> bool:
        """Delete a row."""
        table = schema.blocks
        statement = table.delete().where(table.c.user_id == user, table.c.blocked == other)
        return bool((await self._connection.execute(statement)).rowcount)

    async def count_blocks(self, user: UserId, most: int) -> int:
        """Count rows, not more than needed."""
        found = select(schema.blocks.c.blocked).where(schema.blocks.c.user_id == user).limit(most).subquery()
        return int((await self._connection.execute(select(func.count()).select_from(found))).scalar_one())

    async def member_settings(self, conversation: ConversationId, user: UserId) -> MemberSettings | None:
        """One member's flags."""
        table = schema.members
        one = select(table.c.muted, table.c.archived).where(
            table.c.conversation_id == conversation, table.c.user_id == user
        )
        statement = one.with_for_update(key_share=True)
        row = (await self._connection.execute(statement)).first()
        return MemberSettings(bool(row[0]), bool(row[1])) if row is not None else None

    async def put_member_settings(self, conversation: ConversationId, user: UserId, settings: MemberSettings) -> None:
        """Update one member's flags."""
        table = schema.members
        await self._connection.execute(
            table.update()
            .where(table.c.conversation_id == conversation, table.c.user_id == user)
            .values(muted=settings.muted, archived=settings.archived)
        )


class RelationReads(Reading):
    """The part of the store."""

    async def block(self, user: UserId, other: UserId) -> Block | None:
        """One row."""
        table = schema.blocks
        row = await self._first(select(table).where(table.c.user_id == user, table.c.blocked == other))
        return Block(UserId(row.blocked), row.created_at) if row is not None else None

    async def blocks(self, user: UserId, after: UserId | None, limit: int) -> list[Block]:
        """A page along the key."""
        table = schema.blocks
        statement = select(table).where(table.c.user_id == user).order_by(table.c.blocked).limit(limit)
        if after is not None:
            statement = statement.where(table.c.blocked > after)
        return [Block(UserId(row.blocked), row.created_at) for row in await self._all(statement)]

    async def acquaintances(self, user: UserId, others: Sequence[UserId]) -> set[UserId]:
        """Those who are in a chat of the user's."""
        statement = self._dialect.made(_acquaintances)
        parameters = {"user": user, **as_rows((other,) for other in others)}

        async def read(connection: Executing) -> set[UserId]:
            return {UserId(row[0]) for row in await connection.execute(statement, parameters)} - {user}

        return await self._read(read) if others else set()

    async def talks(self, ids: Sequence[ConversationId]) -> dict[ConversationId, tuple[Conversation, bool]]:
        """Conversations and the blocks in them."""

        async def read(connection: Executing) -> dict[ConversationId, tuple[Conversation, bool]]:
            found = await read_conversations(connection, self._dialect, ids)
            pairs = {c.id: (c.members[0], c.members[1]) for c in found.values() if len(c.members) == 2}  # noqa: PLR2004
            blocked = await read_blocked_pairs(connection, self._dialect, list(pairs.values()))
            return {c.id: (c, pairs.get(c.id) in blocked) for c in found.values()}

        return await self._read(read)

    async def conversation_of(self, user: UserId, conversation: ConversationId) -> ConversationRow | None:
        """One row of the list of conversations."""
        return await self._read(lambda connection: read_conversation_row(connection, self._dialect, user, conversation))


async def read_blocked_pairs(connection: Executing, dialect: Dialect, pairs: Sequence[Pair]) -> set[Pair]:
    """The pairs with a block between them."""
    if not pairs:
        return set()
    rows = await connection.execute(dialect.made(_blocked_pairs), as_rows(pairs))
    return {(UserId(first), UserId(second)) for first, second in rows}
