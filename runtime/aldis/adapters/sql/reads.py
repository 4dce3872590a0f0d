"""Reads outside transactions. Every list is read by key and position, none by offset."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, TextClause, and_, or_, select, text

from aldis.adapters.sql import schema
from aldis.adapters.sql.connection import Executing
from aldis.adapters.sql.dialect import Dialect, as_rows
from aldis.adapters.sql.records import read_failures, read_places, read_turns
from aldis.adapters.sql.rows import to_message
from aldis.adapters.sql.sends import read_conversations
from aldis.domain.ids import ConversationId, DeviceId, MessageId, UserId
from aldis.domain.messages import Kind, Message
from aldis.domain.receipts import ReadMark
from aldis.domain.status import Passage, Step
from aldis.domain.streams import MESSAGE
from aldis.ports.store import Conversation, ConversationRow, Entry, StateEntry, Want

MESSAGE_COLUMNS = ", ".join(f"m.{column.name}" for column in schema.messages.c)
PASSAGES = 200  # moves looked at for one message and recipient: 20 devices, two steps, and repeats after reconnects


def _entries(dialect: Dialect) -> TextClause:
    return text(
        f"SELECT w.want, e.seq AS pos, e.type, {MESSAGE_COLUMNS} FROM "
        f"{dialect.rows('want:int', 'user_id', 'lane', 'low:int', 'high:int')} w"
        " JOIN stream_events e ON e.user_id = w.user_id AND e.lane = w.lane AND e.seq > w.low AND e.seq <= w.high"
        " JOIN messages m ON m.id = e.message_id ORDER BY w.want, e.seq"
    )


def _states(dialect: Dialect) -> TextClause:
    return text(
        "SELECT want, version, type, value FROM (SELECT w.want, w.most, s.version, s.type, s.value,"
        " ROW_NUMBER() OVER (PARTITION BY w.want ORDER BY s.version) AS place FROM "
        f"{dialect.rows('want:int', 'user_id', 'low:int', 'most:int')} w"
        " JOIN states s ON s.user_id = w.user_id AND s.version > w.low) p WHERE place <= most ORDER BY want, version"
    )


async def read_entries(connection: Executing, dialect: Dialect, wants: Sequence[Want]) -> list[list[Entry]]:
    """Pages of lanes; as positions have no gaps, a page is a range of the key."""
    rows = [(index, w.user, w.source, w.after, w.after + w.limit) for index, w in enumerate(wants)]
    pages: list[list[Entry]] = [[] for _ in wants]
    for want, position, type_, *columns in (await connection.execute(dialect.made(_entries), as_rows(rows))).all():
        pages[want].append(Entry(position, to_message(columns), type_ or MESSAGE))
    return pages


async def read_states(connection: Executing, dialect: Dialect, wants: Sequence[Want]) -> list[list[StateEntry]]:
    """Pages of `r`; versions have gaps, so rows are numbered to cut each page."""
    rows = [(index, w.user, w.after, w.limit) for index, w in enumerate(wants)]
    pages: list[list[StateEntry]] = [[] for _ in wants]
    for want, version, type_, value in await connection.execute(dialect.made(_states), as_rows(rows)):
        pages[want].append(StateEntry(version, type_, value.encode()))
    return pages


async def read_passages(
    connection: Executing, message: Message, users: Sequence[UserId]
) -> dict[UserId, tuple[int, list[Passage]]]:
    """What passed a message, by recipient, and what delivering it came to."""
    places = await read_places(connection, message, users)
    failed = await read_failures(connection, message, users)
    passed: dict[UserId, tuple[int, list[Passage]]] = {}
    for user, found in places.items():
        lane, seq = found[-1]
        steps = await _passages(connection, message, user, lane, seq)
        passed[user] = seq, steps + await read_turns(connection, message, user, found) + failed.get(user, [])
    # Of what has failed it is known exactly; a member's progress is only the furthest that he has come.
    lost = {user: (0, failed[user]) for user in users if user not in places and user in failed}
    retired = [user for user in users if user not in places and user not in failed]
    return passed | lost | (await _progress_past(connection, message, retired) if retired else {})


async def _progress_past(
    connection: Executing, message: Message, users: Sequence[UserId]
) -> dict[UserId, tuple[int, list[Passage]]]:
    """Where retention has taken the entries, the members' progress still tells that, though not when."""
    members = schema.members
    delivered = members.c.delivered_express if message.lane == "e" else members.c.delivered_standard
    statement = select(members.c.user_id, delivered, members.c.read_seq).where(
        members.c.conversation_id == message.conversation_id,
        members.c.user_id.in_(users),
        members.c.from_seq < message.seq,  # of one who was erased nothing is told
    )
    found: dict[UserId, tuple[int, list[Passage]]] = {}
    for user, delivered_seq, read_seq in await connection.execute(statement):
        steps = [(Step.ACKED, delivered_seq), (Step.READ, read_seq)]
        found[UserId(user)] = (0, [Passage(step, None, None) for step, seq in steps if seq >= message.seq])
    return found


async def _passages(connection: Executing, message: Message, user: UserId, lane: str, position: int) -> list[Passage]:
    moves = schema.cursor_moves
    found: list[Passage] = []
    for source, place in ((lane, position), (message.conversation_id, message.seq)):
        statement = (
            select(moves.c.step, moves.c.device_id, moves.c.at)
            .where(moves.c.user_id == user, moves.c.source == source, moves.c.high >= place, moves.c.low < place)
            .order_by(moves.c.high)
            .limit(PASSAGES)
        )
        rows = await connection.execute(statement)
        found += [Passage(Step(step), DeviceId(device) if device else None, at) for step, device, at in rows]
    return sorted(found, key=lambda passage: passage.at or 0)


async def read_message(connection: Executing, message_id: MessageId) -> Message | None:
    """One message."""
    row = (await connection.execute(select(schema.messages).where(schema.messages.c.id == message_id))).first()
    return to_message(row) if row is not None else None


async def read_message_in_place(
    connection: Executing, dialect: Dialect, message_id: MessageId
) -> tuple[Message, Conversation] | None:
    """One message and its conversation."""
    message = await read_message(connection, message_id)
    if message is None:
        return None
    found = await read_conversations(connection, dialect, [message.conversation_id])
    return message, found[message.conversation_id]


async def read_history(
    connection: Executing,
    conversation: ConversationId,
    *,
    before: int | None,
    after: int | None,
    above: int,
    limit: int,
) -> list[Message]:
    """A page of a conversation."""
    table = schema.messages
    statement = select(table).where(table.c.conversation_id == conversation).limit(limit)
    if after is not None:
        statement = statement.where(table.c.seq > max(after, above)).order_by(table.c.seq)
    else:
        statement = statement.where(table.c.seq > above).order_by(table.c.seq.desc())
        if before is not None:
            statement = statement.where(table.c.seq < before)
    return [to_message(row) for row in await connection.execute(statement)]


async def read_conversation_rows(
    connection: Executing,
    dialect: Dialect,
    user: UserId,
    kind: Kind | None,
    before: tuple[str, str] | None,
    limit: int,
    *,
    archived: bool | None = None,
) -> list[ConversationRow]:
    """A page of a user's conversations with marks and last messages."""
    table, members = schema.conversations, schema.members
    statement = _conversations_of(user).order_by(table.c.last_message_id.desc(), table.c.id.desc()).limit(limit)
    if kind is not None:
        statement = statement.where(table.c.kind == kind.value)
    if archived is not None:
        statement = statement.where(members.c.archived == archived)
    if before is not None:
        statement = statement.where(
            or_(
                table.c.last_message_id < before[0],
                and_(table.c.last_message_id == before[0], table.c.id < before[1]),
            )
        )
    rows = (await connection.execute(statement)).all()
    return await _with_last(connection, dialect, rows)


async def read_conversation_row(
    connection: Executing, dialect: Dialect, user: UserId, conversation: ConversationId
) -> ConversationRow | None:
    """One of a user's conversations."""
    statement = _conversations_of(user).where(schema.members.c.conversation_id == conversation)
    rows = await _with_last(connection, dialect, (await connection.execute(statement)).all())
    return rows[0] if rows else None


def _conversations_of(user: UserId) -> Select[Any]:
    table, members = schema.conversations, schema.members
    return (
        select(table.c.id, table.c.head_seq, table.c.last_message_id, members)
        .join_from(members, table, table.c.id == members.c.conversation_id)
        # One who was erased and came back is a stranger to what was there.
        .where(members.c.user_id == user, or_(table.c.broadcast, table.c.head_seq > members.c.from_seq))
    )


def _last(dialect: Dialect) -> TextClause:
    return text(
        f"SELECT {MESSAGE_COLUMNS} FROM {dialect.rows('id', 'seq:int')} w"
        " JOIN messages m ON m.conversation_id = w.id AND m.seq = w.seq"
    )


async def _with_last(connection: Executing, dialect: Dialect, rows: Sequence[Row[Any]]) -> list[ConversationRow]:
    ends = await connection.execute(dialect.made(_last), as_rows((row.id, row.head_seq) for row in rows))
    last = {message.conversation_id: message for message in map(to_message, ends)}
    conversations = await read_conversations(connection, dialect, [row.id for row in rows])
    return [
        ConversationRow(
            conversations[row.id],
            ReadMark(head_seq=row.head_seq, read_seq=row.read_seq, own_total=row.own_total, own_read=row.own_read),
            last.get(row.id),
            muted=bool(row.muted),
            archived=bool(row.archived),
        )
        for row in rows
    ]
