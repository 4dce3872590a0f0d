"""The part of a transaction that moves positions: devices, acknowledgements, receipts, read marks."""

from collections.abc import Sequence

from sqlalchemy import BindParameter, and_, bindparam, case, func, select, text

from aldis.adapters.sql import schema
from aldis.adapters.sql.connection import Executing
from aldis.adapters.sql.dialect import Dialect, as_rows
from aldis.adapters.sql.rows import from_device, to_device
from aldis.domain.devices import Device
from aldis.domain.ids import ConversationId, DeviceId, UserId
from aldis.domain.receipts import ReadMark, Receipt
from aldis.ports.store import Heard, LaneMove, Move, Range


class Moves:
    """Bulk moves of one open transaction."""

    def __init__(self, connection: Executing, dialect: Dialect) -> None:
        self._connection = connection
        self._dialect = dialect

    async def devices(self, keys: Sequence[tuple[UserId, DeviceId]]) -> dict[tuple[UserId, DeviceId], Device]:
        """Devices by key."""
        statement = text(
            "SELECT d.* FROM "  # noqa: S608 - fixed column names only
            f"{self._dialect.rows('user_id', 'device_id')} w"
            " JOIN devices d ON d.user_id = w.user_id AND d.device_id = w.device_id"
        )
        rows = await self._connection.execute(statement, as_rows(keys))
        return {(device.user, device.id): device for device in map(to_device, rows)}

    async def put_devices(self, devices: Sequence[Device], seen_at: int) -> None:
        """Upsert whole rows."""
        if not devices:
            return
        table = schema.devices
        insert = self._dialect.insert(table)
        changed = {c.name: insert.excluded[c.name] for c in table.c if not c.primary_key}
        statement = insert.on_conflict_do_update(index_elements=[table.c.user_id, table.c.device_id], set_=changed)
        rows = [from_device(device, seen_at) for device in sorted(devices, key=lambda d: (d.user, d.id))]
        await self._connection.execute(statement, rows)

    async def device_counts(self, users: Sequence[UserId]) -> dict[UserId, int]:
        """Devices a user."""
        table = schema.devices
        statement = select(table.c.user_id, func.count()).where(table.c.user_id.in_(users)).group_by(table.c.user_id)
        return {UserId(user): int(count) for user, count in await self._connection.execute(statement)}

    async def heard(self, ranges: Sequence[Range]) -> list[Heard]:
        """The highest seq of others' messages by range and conversation."""
        if not ranges:
            return []
        statement = text(
            "SELECT w.user_id, w.lane, e.conversation_id, MAX(e.conversation_seq) FROM "  # noqa: S608 - fixed names
            f"{self._dialect.rows('user_id', 'lane', 'low:int', 'high:int')} w"
            " JOIN stream_events e ON e.user_id = w.user_id AND e.lane = w.lane AND e.seq > w.low AND e.seq <= w.high"
            " WHERE NOT e.own GROUP BY w.user_id, w.lane, e.conversation_id"
        )
        return [Heard(*row) for row in await self._connection.execute(statement, as_rows(ranges))]

    async def advance_receipts(self, receipts: Sequence[Receipt]) -> list[Receipt]:
        """Merge into members; answer what grew."""
        wanted = {(r.conversation_id, r.user): r for r in receipts}
        changed = []
        for known in await self._progress(list(wanted)):
            merged = known.merge(wanted[known.conversation_id, known.user])
            if merged != known:
                changed.append(merged)
        await self._store_progress(changed)
        return changed

    async def _progress(self, keys: Sequence[tuple[ConversationId, UserId]]) -> list[Receipt]:
        statement = text(
            "SELECT m.conversation_id, m.user_id, m.delivered_express, m.delivered_standard, m.read_seq FROM "  # noqa: S608
            f"{self._dialect.rows('conversation_id', 'user_id')} w"
            " JOIN members m ON m.conversation_id = w.conversation_id AND m.user_id = w.user_id"
        )
        rows = await self._connection.execute(statement, as_rows(keys))
        return [
            Receipt(conversation_id=c, user=u, express=express, standard=standard, read_seq=read)
            for c, u, express, standard, read in rows
        ]

    async def _store_progress(self, receipts: Sequence[Receipt]) -> None:
        if not receipts:
            return
        table = schema.members
        statement = (
            table.update()
            .where(and_(table.c.conversation_id == bindparam("at"), table.c.user_id == bindparam("who")))
            .values(
                delivered_express=bindparam("express"),
                delivered_standard=bindparam("standard"),
                read_seq=bindparam("read"),
            )
        )
        rows = [
            {
                "at": r.conversation_id,
                "who": r.user,
                "express": r.express,
                "standard": r.standard,
                "read": r.read_seq,
            }
            for r in sorted(receipts, key=lambda r: (r.conversation_id, r.user))
        ]
        await self._connection.execute(statement, rows)

    async def advance_lanes(self, moves: Sequence[LaneMove]) -> None:
        """Raise `acked`; close what is no longer due."""
        if not moves:
            return
        table = schema.stream_heads
        acked: BindParameter[int] = bindparam("high")
        closed = acked >= table.c.seq
        statement = (
            table.update()
            .where(
                and_(table.c.user_id == bindparam("who"), table.c.source == bindparam("lane"), table.c.acked < acked)
            )
            .values(
                acked=acked,
                due_at=case((closed, None), else_=table.c.due_at),
                attempt=case((closed, 0), else_=table.c.attempt),
            )
        )
        rows = [{"who": move.user, "lane": move.lane, "high": move.acked} for move in sorted(moves)]
        await self._connection.execute(statement, rows)

    async def record_moves(self, moves: Sequence[Move]) -> None:
        """Append rows."""
        if not moves:
            return
        rows = [
            {
                "user_id": move.user,
                "device_id": move.device,
                "source": move.source,
                "step": move.step.value,
                "low": move.low,
                "high": move.high,
                "at": move.at,
            }
            for move in moves
        ]
        await self._connection.execute(schema.cursor_moves.insert(), rows)

    async def read_marks(
        self, keys: Sequence[tuple[ConversationId, UserId]]
    ) -> dict[tuple[ConversationId, UserId], ReadMark]:
        """Marks with the conversation's head."""
        statement = text(
            "SELECT m.conversation_id, m.user_id, c.head_seq, m.read_seq, m.own_total, m.own_read FROM "  # noqa: S608
            f"{self._dialect.rows('conversation_id', 'user_id')} w"
            " JOIN members m ON m.conversation_id = w.conversation_id AND m.user_id = w.user_id"
            " JOIN conversations c ON c.id = m.conversation_id"
        )
        rows = await self._connection.execute(statement, as_rows(keys))
        return {
            (conversation, user): ReadMark(head_seq=head, read_seq=read, own_total=total, own_read=own)
            for conversation, user, head, read, total, own in rows
        }

    async def count_own_between(self, conversation: ConversationId, user: UserId, low: int, high: int) -> int:
        """Own messages in a range of seqs."""
        table = schema.messages
        statement = select(func.count()).where(
            table.c.conversation_id == conversation,
            table.c.seq > low,
            table.c.seq <= high,
            table.c.sender_user == user,
        )
        return int((await self._connection.execute(statement)).scalar_one())

    async def put_own_read(self, conversation: ConversationId, user: UserId, own_read: int) -> None:
        """Store how many of the read messages are the member's own."""
        table = schema.members
        await self._connection.execute(
            table.update()
            .where(table.c.conversation_id == conversation, table.c.user_id == user)
            .values(own_read=own_read)
        )

    async def badge(self, user: UserId) -> int:
        """All unread of a user."""
        return await read_badge(self._connection, user)


async def read_badge(connection: Executing, user: UserId) -> int:
    """The sum over a user's conversations; cost grows with their number, not with their messages."""
    members, table = schema.members, schema.conversations
    unread = (table.c.head_seq - members.c.read_seq) - (members.c.own_total - members.c.own_read)
    statement = (
        select(func.coalesce(func.sum(unread), 0))
        .join_from(members, table, table.c.id == members.c.conversation_id)
        .where(members.c.user_id == user, unread > 0)
    )
    return int((await connection.execute(statement)).scalar_one())
