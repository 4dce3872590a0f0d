"""Broadcasts: the two sources of the installation, and who hears which channel."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, TextClause, delete, exists, func, select, text, update

from aldis.adapters.sql import schema
from aldis.adapters.sql.connection import Executing
from aldis.adapters.sql.dialect import Dialect, as_rows
from aldis.adapters.sql.part import Part
from aldis.adapters.sql.reading import Reading
from aldis.adapters.sql.reads import MESSAGE_COLUMNS
from aldis.adapters.sql.rows import to_channel, to_message
from aldis.domain.channels import History
from aldis.domain.ids import ConversationId, MessageId, UserId, created_ms
from aldis.domain.messages import Kind
from aldis.domain.streams import BROADCASTS, MESSAGE, BroadcastSource, LaneHead
from aldis.ports.broadcasts import (
    AudienceChange,
    BroadcastCounts,
    BroadcastEntry,
    EveryoneChannel,
    Interval,
    Listener,
    LoggedBroadcast,
    Seen,
)
from aldis.ports.store import Entry, Want

_AUDIENCE = "audience"  # the row beside the two sources whose number counts the changes of audiences
_SEEN = (
    "SELECT u.user_id, u.joined_at, u.everyone_version FROM {rows} w JOIN users u ON u.user_id = w.user_id"
    " ORDER BY u.user_id"
)
_INTERVAL = "user_id, channel, since, changed, from_be, from_bs, subscribed_at, until_be, until_bs"


def _extend(dialect: Dialect) -> TextClause:
    return text(
        f"INSERT INTO broadcast_heads (source, seq) SELECT * FROM {dialect.rows('source', 'more:int')} w WHERE true"
        " ON CONFLICT (source) DO UPDATE SET seq = broadcast_heads.seq + excluded.seq RETURNING source, seq"
    )


def _insert(dialect: Dialect) -> TextClause:
    numbers = ("conversation_seq:int", "audience_version:int")
    columns = ("source", "seq:int", "channel", "message_id", *numbers, "type", "revised_at:int")
    names = ", ".join(column.partition(":")[0] for column in columns)
    return text(f"INSERT INTO broadcast_events ({names}) SELECT * FROM {dialect.rows(*columns)} w")


def _seen(dialect: Dialect) -> TextClause:
    return text(_SEEN.format(rows=dialect.rows("user_id")))


def _held_seen(dialect: Dialect) -> TextClause:
    return text(_SEEN.format(rows=dialect.rows("user_id")) + dialect.locking("u"))


def _put_seen(dialect: Dialect) -> TextClause:
    return text(
        "INSERT INTO users (user_id, joined_at, everyone_version) SELECT * FROM "
        f"{dialect.rows('user_id', 'joined_at:int', 'everyone:int')} w WHERE true"
        " ON CONFLICT (user_id) DO UPDATE SET everyone_version = excluded.everyone_version"
    )


def _intervals(dialect: Dialect) -> TextClause:
    names = ", ".join(f"s.{name}" for name in _INTERVAL.split(", "))
    return text(
        f"SELECT {names} FROM {dialect.rows('user_id')} w JOIN subscriptions s ON s.user_id = w.user_id"
        " ORDER BY s.user_id, s.channel, s.since"
    )


def _put_intervals(dialect: Dialect) -> TextClause:
    numbers = ("since", "changed", "from_be", "from_bs", "subscribed_at", "until_be", "until_bs")
    rows = dialect.rows("user_id", "channel", *(f"{name}:int" for name in numbers))
    return text(
        f"INSERT INTO subscriptions ({_INTERVAL}) SELECT * FROM {rows} w WHERE true"
        " ON CONFLICT (user_id, channel, since) DO UPDATE SET"
        " changed = excluded.changed, until_be = excluded.until_be, until_bs = excluded.until_bs"
    )


def _conversation_heads(dialect: Dialect) -> TextClause:
    return text(f"SELECT c.id, c.head_seq FROM {dialect.rows('id')} w JOIN conversations c ON c.id = w.id")


def _put_listeners(dialect: Dialect) -> TextClause:
    return text(
        "INSERT INTO members (conversation_id, user_id, read_seq, from_seq) SELECT * FROM "
        f"{dialect.rows('conversation_id', 'user_id', 'read_seq:int', 'from_seq:int')} w WHERE true"
        " ON CONFLICT DO NOTHING"
    )


def _drop_listeners(dialect: Dialect) -> TextClause:
    return text(
        "DELETE FROM members WHERE (conversation_id, user_id) IN"
        f" (SELECT conversation_id, user_id FROM {dialect.rows('conversation_id', 'user_id')} w)"
    )


def _floors(dialect: Dialect) -> TextClause:
    """Only what was trimmed inside an interval is missed: the end of the interval bounds it."""
    begin = "CASE f.source WHEN 'be' THEN s.from_be ELSE s.from_bs END"
    end = "CASE f.source WHEN 'be' THEN s.until_be ELSE s.until_bs END"
    return text(
        f"SELECT s.user_id, f.source, MAX(CASE WHEN {end} < f.seq THEN {end} ELSE f.seq END) FROM "
        f"{dialect.rows('user_id')} w JOIN subscriptions s ON s.user_id = w.user_id"
        f" JOIN broadcast_floors f ON f.channel = s.channel AND f.seq > {begin} GROUP BY s.user_id, f.source"
    )


class Broadcasts(Part):
    """The part of an open transaction."""

    async def extend_broadcasts(self, counts: Mapping[BroadcastSource, int]) -> dict[BroadcastSource, int]:
        """Upsert the heads."""
        return dict(map(tuple, await self._run(_extend, sorted(counts.items())))) if counts else {}

    async def insert_broadcasts(self, entries: Sequence[BroadcastEntry]) -> None:
        """Store rows."""
        if entries:
            await self._run(_insert, [(*e[:6], None if e.type == MESSAGE else e.type, e.revised_at) for e in entries])

    async def broadcast_heads(self) -> dict[BroadcastSource, LaneHead]:
        """Both heads."""
        return (await _read_heads(self._connection))[0]

    async def audience_number(self) -> int:
        """The row beside the sources, shared with others who broadcast; it must be there to be held."""
        table = schema.broadcast_heads
        statement = select(table.c.seq).where(table.c.source == _AUDIENCE).with_for_update(read=True)
        row = (await self._connection.execute(statement)).first()
        if row is not None:
            return int(row[0])
        begin = self._dialect.insert(table).on_conflict_do_nothing()
        await self._connection.execute(begin, {"source": _AUDIENCE, "seq": 0})
        return int((await self._connection.execute(statement)).scalar_one())

    async def number_change(self) -> int:
        """Count on in the row beside the sources."""
        ((_, number),) = await self._run(_extend, [(_AUDIENCE, 1)])
        return int(number)

    async def everyone_channels(self) -> list[EveryoneChannel]:
        """Channels with the number of a change of their own."""
        table = schema.channels
        rows = await self._connection.execute(select(table).where(table.c.audience_version > 0))
        return [
            EveryoneChannel(row.name, row.audience_version, to_channel(row).history is History.HIDDEN) for row in rows
        ]

    async def mark_everyone(self, channel: str, number: int) -> None:
        """Give a channel that number."""
        table = schema.channels
        await self._connection.execute(update(table).where(table.c.name == channel).values(audience_version=number))

    async def seen(self, users: Sequence[UserId], *, hold: bool = False) -> dict[UserId, Seen]:
        """Users by key."""
        found = await self._run(_held_seen if hold else _seen, [(user,) for user in users]) if users else ()
        return {row[0]: Seen(*row) for row in found}

    async def put_seen(self, users: Sequence[Seen]) -> None:
        """Upsert rows."""
        if users:
            await self._run(_put_seen, sorted(users))

    async def intervals(self, users: Sequence[UserId], channel: str | None = None) -> list[Interval]:
        """Intervals by user."""
        found = [Interval(*row) for row in await self._run(_intervals, [(user,) for user in users])]
        return [interval for interval in found if channel is None or interval.channel == channel]

    async def put_intervals(self, intervals: Sequence[Interval]) -> None:
        """Upsert rows."""
        if intervals:
            await self._run(_put_intervals, sorted(intervals))

    async def open_conversation(self, conversation_id: ConversationId, channel: str) -> None:
        """An empty conversation without members."""
        row = {"id": conversation_id, "kind": Kind.NOTIFICATION.value, "channel": channel, "head_seq": 0}
        insert = self._dialect.insert(schema.conversations).on_conflict_do_nothing()
        await self._connection.execute(insert, {**row, "last_message_id": "", "broadcast": True})

    async def conversation_heads(self, ids: Sequence[ConversationId]) -> dict[ConversationId, int]:
        """Heads by key."""
        found = await self._run(_conversation_heads, [(identifier,) for identifier in ids]) if ids else ()
        return {ConversationId(identifier): head for identifier, head in found}

    async def put_listeners(self, listeners: Sequence[Listener]) -> None:
        """Insert rows."""
        if listeners:
            await self._run(_put_listeners, sorted(listeners))

    async def drop_listeners(self, keys: Sequence[tuple[ConversationId, UserId]]) -> None:
        """Delete rows."""
        if keys:
            await self._run(_drop_listeners, sorted(keys))

    async def broadcast_floors(self, users: Sequence[UserId]) -> dict[UserId, dict[BroadcastSource, int]]:
        """What was trimmed inside the users' intervals."""
        floors: dict[UserId, dict[BroadcastSource, int]] = {}
        for user, source, seq in await self._run(_floors, [(user,) for user in users]):
            floors.setdefault(UserId(user), {})[source] = seq
        return floors

    async def trim_broadcasts(self, before: MessageId, limit: int) -> int:
        """Drop a prefix of each source that holds old messages only."""
        dropped = 0
        for source in BROADCASTS:
            dropped += await self._trim(source, before, limit)
        return dropped

    async def _trim(self, source: BroadcastSource, before: MessageId, limit: int) -> int:
        events = schema.broadcast_events
        rows = await self._connection.execute(
            select(events.c.seq, events.c.channel, events.c.message_id, events.c.revised_at)
            .where(events.c.source == source)
            .order_by(events.c.seq)
            .limit(limit)
        )
        old: dict[str, int] = {}
        last = 0
        for seq, channel, message_id, revised_at in rows:
            if message_id >= before or (revised_at is not None and revised_at >= created_ms(before)):
                break
            old[channel] = last = seq
        if not last:
            return 0
        await self._raise_floors(source, last, old)
        statement = delete(events).where(events.c.source == source, events.c.seq <= last)
        return int((await self._connection.execute(statement)).rowcount)

    async def _raise_floors(self, source: BroadcastSource, last: int, old: Mapping[str, int]) -> None:
        heads, floors = schema.broadcast_heads, schema.broadcast_floors
        raised = update(heads).where(heads.c.source == source, heads.c.floor < last).values(floor=last)
        await self._connection.execute(raised)
        insert = self._dialect.insert(floors)
        statement = insert.on_conflict_do_update(
            index_elements=[floors.c.channel, floors.c.source],
            set_={"seq": insert.excluded.seq},
            where=floors.c.seq < insert.excluded.seq,  # another may have come further
        )
        rows = [{"channel": channel, "source": source, "seq": seq} for channel, seq in sorted(old.items())]
        await self._connection.execute(statement, rows)


class BroadcastReads(Reading):
    """The part of the store."""

    async def broadcast_positions(self) -> tuple[dict[BroadcastSource, LaneHead], int]:
        """All three rows in one query."""
        return await self._read(_read_heads)

    async def broadcast_log(self, source: BroadcastSource, after: int, limit: int) -> list[LoggedBroadcast]:
        """A range of the key."""
        statement = text(
            "SELECT e.source, e.seq, e.channel, e.message_id, e.conversation_seq, e.audience_version, e.type,"
            f" e.revised_at, {MESSAGE_COLUMNS} FROM broadcast_events e JOIN messages m ON m.id = e.message_id"
            " WHERE e.source = :source AND e.seq > :low AND e.seq <= :high ORDER BY e.seq"
        )
        given = {"source": source, "low": after, "high": after + limit}

        async def read(connection: Executing) -> list[LoggedBroadcast]:
            rows = (await connection.execute(statement, given)).all()
            return [LoggedBroadcast(_to_entry(row[:8]), to_message(row[8:])) for row in rows]

        return await self._read(read)

    async def audience_changes(self, after: int, limit: int) -> list[AudienceChange]:
        """A range of an index."""
        table = schema.subscriptions
        statement = (
            select(table.c.user_id, table.c.channel, table.c.changed, table.c.until_be, table.c.until_bs)
            .where(table.c.changed > after)
            .order_by(table.c.changed)
            .limit(limit)
        )
        return [AudienceChange._make(row) for row in await self._all(statement)]

    async def subscribed(self, users: Sequence[UserId]) -> dict[UserId, list[Interval]]:
        """Open intervals by user."""

        async def read(connection: Executing) -> dict[UserId, list[Interval]]:
            found: dict[UserId, list[Interval]] = {}
            rows = as_rows((user,) for user in users)
            for interval in map(Interval._make, await connection.execute(self._dialect.made(_intervals), rows)):
                if interval.is_open:
                    found.setdefault(interval.user, []).append(interval)
            return found

        return await self._read(read)

    async def subscribers(self, channel: str, after: UserId | None, limit: int) -> list[Interval]:
        """Open intervals by channel."""
        table = schema.subscriptions
        columns = [table.c[name] for name in _INTERVAL.split(", ")]
        statement: Select[Any] = select(*columns).where(table.c.channel == channel, table.c.until_be.is_(None))
        if after is not None:
            statement = statement.where(table.c.user_id > after)
        return [Interval._make(row) for row in await self._all(statement.order_by(table.c.user_id).limit(limit))]

    async def needs_joining(self, user: UserId) -> bool:
        """Compare the user's number with the channels'."""
        users, channels = schema.users, schema.channels
        newest = select(func.coalesce(func.max(channels.c.audience_version), 0)).scalar_subquery()
        statement = select(users.c.user_id).where(users.c.user_id == user, users.c.everyone_version >= newest)
        return await self._first(statement) is None

    async def broadcast_entry(self, message_id: MessageId) -> BroadcastEntry | None:
        """The first entry of a message."""
        table = schema.broadcast_events
        statement = select(table).where(table.c.message_id == message_id, table.c.type.is_(None))
        row = await self._first(statement)
        return _to_entry(row) if row is not None else None

    async def broadcast_counts(self, entry: BroadcastEntry, conversation_id: ConversationId) -> BroadcastCounts:
        """Count the audience, and those among them who came so far."""
        heard, acknowledged, read = _reach(entry, conversation_id)
        table = schema.subscriptions
        delivered, seen = (func.count().filter(condition) for condition in (acknowledged, read))
        statement = select(func.count(), delivered, seen).select_from(table).where(heard)
        row = await self._first(statement)
        return BroadcastCounts._make(row) if row is not None else BroadcastCounts(0, 0, 0)

    async def broadcast_reach(
        self, entry: BroadcastEntry, conversation_id: ConversationId, user: UserId
    ) -> tuple[bool, bool, bool]:
        """The same for one user."""
        heard, acknowledged, read = _reach(entry, conversation_id)
        statement: Select[Any] = select(acknowledged, read).where(schema.subscriptions.c.user_id == user, heard)
        row = await self._first(statement)
        if row is None:
            return False, False, False
        return True, bool(row[0]), bool(row[-1])

    async def listener(self, conversation_id: ConversationId, user: UserId) -> Listener | None:
        """A member by key."""
        table = schema.members
        statement = select(table.c.conversation_id, table.c.user_id, table.c.read_seq, table.c.from_seq).where(
            table.c.conversation_id == conversation_id, table.c.user_id == user
        )
        row = await self._first(statement)
        return Listener._make(row) if row is not None else None


def _reach(entry: BroadcastEntry, conversation_id: ConversationId) -> tuple[Any, Any, Any]:
    """Conditions on a subscription: it covers the entry; a device of its user has it; its user has read it."""
    table, devices, members = schema.subscriptions, schema.devices, schema.members
    begin, end = table.c[f"from_{entry.source}"], table.c[f"until_{entry.source}"]
    acked, start = devices.c[f"acked_{entry.source}"], devices.c[f"start_{entry.source}"]
    heard = (table.c.channel == entry.channel) & (begin < entry.seq) & (end.is_(None) | (end >= entry.seq))
    acknowledged = exists().where(devices.c.user_id == table.c.user_id, acked >= entry.seq, start < entry.seq)
    read = exists().where(
        members.c.conversation_id == conversation_id,
        members.c.user_id == table.c.user_id,
        members.c.read_seq >= entry.conversation_seq,
    )
    return heard, acknowledged, read


async def _read_heads(connection: Executing) -> tuple[dict[BroadcastSource, LaneHead], int]:
    table = schema.broadcast_heads
    rows = {source: LaneHead(seq, floor) for source, seq, floor in await connection.execute(select(table))}
    return {source: rows.get(source, LaneHead()) for source in BROADCASTS}, rows.get(_AUDIENCE, LaneHead()).seq


def _to_entry(row: Sequence[Any]) -> BroadcastEntry:
    source, seq, channel, message_id, conversation_seq, audience, type_, revised_at = row
    return BroadcastEntry(source, seq, channel, message_id, conversation_seq, audience, type_ or MESSAGE, revised_at)


def _pages_heard(dialect: Dialect) -> TextClause:
    """Pages of broadcasts.

    Each interval is sought by itself, so a page costs with the channels a user hears and not with what others hear.
    An edit or a deletion is heard by those who heard the message in the same interval, or may see it now: whoever
    joined a channel with a hidden past learns nothing of it.
    """
    begin = "CASE w.source WHEN 'be' THEN s.from_be ELSE s.from_bs END"
    end = "CASE w.source WHEN 'be' THEN s.until_be ELSE s.until_bs END"
    columns = f"SELECT w.want, e.seq, e.type, {MESSAGE_COLUMNS} FROM "
    wanted = f"{dialect.rows('want:int', 'user_id', 'source', 'low:int')} w"
    of_interval = (
        "FROM broadcast_events n WHERE n.source = w.source AND n.channel = s.channel AND n.seq > w.low"
        f" AND n.seq > {begin} AND n.seq <= COALESCE({end}, {2**53}) AND (n.type IS NULL"
        # All that is asked of `n` itself is in its index; the rest is looked up for edits and deletions alone.
        " OR EXISTS (SELECT 1 FROM broadcast_events t JOIN broadcast_events o ON o.message_id = t.message_id"
        f" WHERE t.source = n.source AND t.seq = n.seq AND o.type IS NULL AND o.seq > {begin})"
        " OR EXISTS (SELECT 1 FROM broadcast_events t JOIN members l ON l.user_id = w.user_id"
        " AND l.conversation_id = (SELECT x.conversation_id FROM messages x WHERE x.id = t.message_id)"
        " WHERE t.source = n.source AND t.seq = n.seq AND l.from_seq < t.conversation_seq)) ORDER BY n.seq LIMIT :most"
    )
    if dialect.has_lateral:
        of_want = (
            f"SELECT i.* FROM subscriptions s CROSS JOIN LATERAL (SELECT n.seq, n.type, n.message_id {of_interval}) i"
            " WHERE s.user_id = w.user_id ORDER BY i.seq LIMIT :most"
        )
        return text(
            f"{columns} {wanted} CROSS JOIN LATERAL ({of_want}) e JOIN messages m ON m.id = e.message_id"
            " ORDER BY w.want, e.seq"
        )
    return text(
        # SQLite takes the order of CROSS JOIN as it stands, and without statistics it would guess a worse one.
        f"{columns} {wanted} CROSS JOIN subscriptions s CROSS JOIN broadcast_events e CROSS JOIN messages m"
        " WHERE s.user_id = w.user_id AND m.id = e.message_id AND e.source = w.source"
        f" AND e.seq IN (SELECT n.seq {of_interval}) ORDER BY w.want, e.seq"
    )


async def read_heard(connection: Executing, dialect: Dialect, wants: Sequence[Want]) -> list[list[Entry]]:
    """Pages of `be` and `bs` as users hear them."""
    rows = [(index, w.user, w.source, w.after) for index, w in enumerate(wants)]
    most = max(want.limit for want in wants)
    statement = dialect.made(_pages_heard)
    pages: list[list[Entry]] = [[] for _ in wants]
    for want, position, type_, *columns in (await connection.execute(statement, as_rows(rows) | {"most": most})).all():
        if len(pages[want]) < wants[want].limit:
            pages[want].append(Entry(position, to_message(columns), type_ or MESSAGE))
    return pages
