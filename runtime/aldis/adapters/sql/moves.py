"""The part of a transaction that moves positions: devices, acknowledgements, receipts, read marks."""

from collections.abc import Sequence

from sqlalchemy import TextClause, func, select, text

from aldis.adapters.sql import schema
from aldis.adapters.sql.connection import Executing
from aldis.adapters.sql.dialect import Dialect
from aldis.adapters.sql.part import Part
from aldis.adapters.sql.rows import from_device, to_device
from aldis.domain.devices import Device
from aldis.domain.ids import ConversationId, DeviceId, UserId
from aldis.domain.receipts import ReadMark, Receipt
from aldis.ports.deliveries import Range
from aldis.ports.store import Heard, Move

_DEVICES = (
    "SELECT d.* FROM {rows} w JOIN devices d ON d.user_id = w.user_id AND d.device_id = w.device_id"
    " ORDER BY d.user_id, d.device_id"
)


def _devices(dialect: Dialect) -> TextClause:
    return text(_DEVICES.format(rows=dialect.rows("user_id", "device_id")))


def _held_devices(dialect: Dialect) -> TextClause:
    return text(_DEVICES.format(rows=dialect.rows("user_id", "device_id")) + dialect.locking("d"))


def _device_counts(dialect: Dialect) -> TextClause:
    return text(
        f"SELECT d.user_id, COUNT(*) FROM {dialect.rows('user_id')} w JOIN devices d ON d.user_id = w.user_id"
        " GROUP BY d.user_id"
    )


def _put_devices(dialect: Dialect) -> TextClause:
    names = [column.name for column in schema.devices.c]
    words = {"user_id", "device_id", "platform"}
    rows = dialect.rows(*(name if name in words else f"{name}:int" for name in names))
    changes = ", ".join(f"{name} = excluded.{name}" for name in names if name not in {"user_id", "device_id"})
    return text(
        f"INSERT INTO devices ({', '.join(names)}) SELECT * FROM {rows} w WHERE true"
        f" ON CONFLICT (user_id, device_id) DO UPDATE SET {changes}"
    )


def _heard(dialect: Dialect) -> TextClause:
    return text(
        "SELECT w.user_id, w.lane, e.conversation_id, MAX(e.conversation_seq) FROM "
        f"{dialect.rows('user_id', 'lane', 'low:int', 'high:int')} w"
        " JOIN stream_events e ON e.user_id = w.user_id AND e.lane = w.lane AND e.seq > w.low AND e.seq <= w.high"
        " WHERE NOT e.own GROUP BY w.user_id, w.lane, e.conversation_id"
    )


def _progress(dialect: Dialect) -> TextClause:
    return text(
        "SELECT m.conversation_id, m.user_id, m.delivered_express, m.delivered_standard, m.read_seq FROM "
        f"{dialect.rows('conversation_id', 'user_id')} w"
        " JOIN members m ON m.conversation_id = w.conversation_id AND m.user_id = w.user_id"
        f" ORDER BY m.conversation_id, m.user_id{dialect.locking('m')}"
    )


def _store_progress(dialect: Dialect) -> TextClause:
    return text(
        "UPDATE members SET delivered_express = w.express, delivered_standard = w.standard, read_seq = w.read FROM "
        f"{dialect.rows('conversation_id', 'user_id', 'express:int', 'standard:int', 'read:int')} w"
        " WHERE members.conversation_id = w.conversation_id AND members.user_id = w.user_id"
    )


def _record(dialect: Dialect) -> TextClause:
    columns = ("user_id", "device_id", "source", "step", "low:int", "high:int", "at:int")
    names = ", ".join(column.partition(":")[0] for column in columns)
    return text(f"INSERT INTO cursor_moves ({names}) SELECT * FROM {dialect.rows(*columns)} w")


def _read_marks(dialect: Dialect) -> TextClause:
    return text(
        "SELECT m.conversation_id, m.user_id, c.head_seq, m.read_seq, m.own_total, m.own_read FROM "
        f"{dialect.rows('conversation_id', 'user_id')} w"
        " JOIN members m ON m.conversation_id = w.conversation_id AND m.user_id = w.user_id"
        " JOIN conversations c ON c.id = m.conversation_id"
        f" ORDER BY m.conversation_id, m.user_id{dialect.locking('m')}"
    )


class Moves(Part):
    """Bulk moves of one open transaction; each is one statement with all its rows in one parameter."""

    async def devices(
        self, keys: Sequence[tuple[UserId, DeviceId]], *, hold: bool = False
    ) -> dict[tuple[UserId, DeviceId], Device]:
        """Devices by key."""
        found = map(to_device, await self._run(_held_devices if hold else _devices, keys)) if keys else ()
        return {(device.user, device.id): device for device in found}

    async def put_devices(self, devices: Sequence[Device], seen_at: int) -> None:
        """Upsert whole rows."""
        if devices:
            ordered = sorted(devices, key=lambda device: (device.user, device.id))
            await self._run(_put_devices, [tuple(from_device(device, seen_at).values()) for device in ordered])

    async def device_counts(self, users: Sequence[UserId]) -> dict[UserId, int]:
        """Devices a user."""
        found = await self._run(_device_counts, [(user,) for user in users]) if users else ()
        return {UserId(user): int(count) for user, count in found}

    async def heard(self, ranges: Sequence[Range]) -> list[Heard]:
        """The highest seq of others' messages by range and conversation."""
        return [Heard(*row) for row in await self._run(_heard, ranges)] if ranges else []

    async def advance_receipts(self, receipts: Sequence[Receipt]) -> list[Receipt]:
        """Merge into members; answer what grew."""
        if not receipts:
            return []
        wanted = {(r.conversation_id, r.user): r for r in receipts}
        known = [
            Receipt(conversation_id=c, user=u, express=express, standard=standard, read_seq=read)
            for c, u, express, standard, read in await self._run(_progress, list(wanted))
        ]
        merged = [(before, before.merge(wanted[before.conversation_id, before.user])) for before in known]
        changed = [after for before, after in merged if after != before]
        if changed:
            rows = sorted((r.conversation_id, r.user, r.express, r.standard, r.read_seq) for r in changed)
            await self._run(_store_progress, rows)
        return changed

    async def record_moves(self, moves: Sequence[Move]) -> None:
        """Append rows."""
        if moves:
            await self._run(_record, moves)

    async def read_marks(
        self, keys: Sequence[tuple[ConversationId, UserId]]
    ) -> dict[tuple[ConversationId, UserId], ReadMark]:
        """Marks with the conversation's head."""
        rows = await self._run(_read_marks, keys)
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
