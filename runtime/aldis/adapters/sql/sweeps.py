"""The part of a transaction that looks after what is to leave and what has aged; and the few settings."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import and_, bindparam, case, delete, exists, func, or_, select, update

from aldis.adapters.sql import schema
from aldis.adapters.sql.part import Part
from aldis.adapters.sql.rows import from_api_key, from_channel
from aldis.domain.callers import ApiKey
from aldis.domain.channels import Channel
from aldis.domain.ids import MessageId, created_ms
from aldis.ports.store import OutboxRow

_CHANNEL_KEEPS = {"name", "created_at", "audience_version"}  # whatever its document says


class Sweeps(Part):
    """Leases and deletions of one open transaction."""

    async def lease_outbox(self, now: int, until: int, limit: int) -> list[OutboxRow]:
        """Take rows by their lease."""
        table = schema.outbox
        chosen = (
            select(table.c.id, table.c.topic, table.c.payload, table.c.created_at)
            .where(or_(table.c.leased_until.is_(None), table.c.leased_until <= now))
            .order_by(table.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        rows = [OutboxRow(*row) for row in await self._connection.execute(chosen)]
        if rows:
            ids = [row.id for row in rows]
            await self._connection.execute(update(table).where(table.c.id.in_(ids)).values(leased_until=until))
        return rows

    async def delete_outbox(self, ids: Sequence[int]) -> None:
        """Forget rows."""
        await self._connection.execute(delete(schema.outbox).where(schema.outbox.c.id.in_(ids)))

    async def trim(self, before: MessageId, limit: int) -> int:
        """Drop old entries from the low end of their lanes, whole prefixes only, so that no hole appears."""
        rows = await self._prefixes(before, limit)
        if not rows:
            return 0
        events, heads = schema.stream_events, schema.stream_heads
        raise_floor = (
            heads.update()
            .where(
                and_(
                    heads.c.user_id == bindparam("who"),
                    heads.c.source == bindparam("at"),
                    heads.c.floor < bindparam("high"),
                )
            )
            .values(floor=bindparam("high"))
        )
        drop = delete(events).where(
            and_(
                events.c.user_id == bindparam("who"),
                events.c.lane == bindparam("at"),
                events.c.seq <= bindparam("high"),
            )
        )
        await self._connection.execute(raise_floor, rows)
        dropped = 0
        for row in rows:
            dropped += (await self._connection.execute(drop, row)).rowcount
        return dropped

    async def _prefixes(self, before: MessageId, limit: int) -> list[dict[str, Any]]:
        """Up to which position each lane has nothing but old entries, those that hold `limit` of them in all.

        Ids follow the clocks of those who made them, positions the commits: an old message may lie behind a newer one.
        What is told of an old message lately is as new as any.
        """
        events, heads, at = schema.stream_events, schema.stream_heads, created_ms(before)
        newer = events.alias()
        below_it = and_(newer.c.user_id == events.c.user_id, newer.c.lane == events.c.lane, newer.c.seq < events.c.seq)
        behind_newer = exists().where(below_it, or_(newer.c.message_id >= before, newer.c.revised_at >= at))
        oldest = (
            select(events.c.user_id, events.c.lane, events.c.seq)
            .where(events.c.message_id < before, func.coalesce(events.c.revised_at, 0) < at, ~behind_newer)
            .order_by(events.c.message_id)
            .limit(limit)
            .subquery()
        )
        of_lane = and_(heads.c.user_id == oldest.c.user_id, heads.c.source == oldest.c.lane)
        grouped = (
            select(oldest.c.user_id, oldest.c.lane, func.max(oldest.c.seq), func.max(heads.c.floor))
            .join_from(oldest, heads, of_lane)
            .group_by(oldest.c.user_id, oldest.c.lane)
        )
        rows: list[dict[str, Any]] = []
        for user, lane, high, floor in sorted(map(tuple, await self._connection.execute(grouped))):
            # An edit of an old message lies far behind it: the entries up to it may be many more than were chosen.
            end = min(high, floor + limit)
            limit -= max(1, end - floor)
            rows.append({"who": user, "at": lane, "high": end})
            if limit <= 0:
                break
        return rows

    async def delete_keys(self, now: int, limit: int) -> int:
        """Forget expired keys, some at a time."""
        keys = schema.idempotency_keys
        chosen = (
            select(keys.c.scope, keys.c.key)
            .where(keys.c.expires_at <= now)
            .order_by(keys.c.expires_at)
            .limit(limit)
            .with_for_update(skip_locked=True)  # whoever sends takes keys in another order
        )
        rows = [{"its": scope, "name": key} for scope, key in await self._connection.execute(chosen)]
        if rows:
            statement = delete(keys).where(and_(keys.c.scope == bindparam("its"), keys.c.key == bindparam("name")))
            await self._connection.execute(statement, rows)
        return len(rows)

    async def delete_moves(self, before: int, limit: int) -> int:
        """Forget the oldest records, some at a time; they are numbered in the order of their times."""
        if self._dialect.has_partitions:
            return 0
        moves = schema.cursor_moves
        oldest = select(moves.c.id, moves.c.at).order_by(moves.c.id).limit(limit)
        ids = [identifier for identifier, at in await self._connection.execute(oldest) if at < before]
        if ids:
            await self._connection.execute(delete(moves).where(moves.c.id.in_(ids)))
        return len(ids)

    async def put_api_key(self, key: ApiKey) -> None:
        """Upsert a key."""
        table = schema.api_keys
        insert = self._dialect.insert(table)
        ends = {name: insert.excluded[name] for name in ("revoked_at", "expires_at")}
        statement = insert.on_conflict_do_update(index_elements=[table.c.id], set_=ends)
        await self._connection.execute(statement, from_api_key(key))

    async def note_keys_used(self, used: Mapping[str, int]) -> None:
        """Keep when keys were last used."""
        table = schema.api_keys
        statement = (
            update(table)
            .where(
                table.c.id == bindparam("which"),
                or_(table.c.last_used_at.is_(None), table.c.last_used_at < bindparam("used")),
            )
            .values(last_used_at=bindparam("used"))
        )
        await self._connection.execute(statement, [{"which": key, "used": at} for key, at in sorted(used.items())])

    async def put_channel(self, channel: Channel, now: int) -> None:
        """Upsert a channel."""
        table = schema.channels
        insert = self._dialect.insert(table)
        changed: dict[str, Any] = {c.name: insert.excluded[c.name] for c in table.c if c.name not in _CHANNEL_KEEPS}
        # Always later than before, whatever the clocks say: from its changing the gateways see that they are to read.
        at, before = insert.excluded.updated_at, table.c.updated_at
        changed["updated_at"] = case((at > before, at), else_=before + 1)
        statement = insert.on_conflict_do_update(index_elements=[table.c.name], set_=changed)
        await self._connection.execute(statement, from_channel(channel, now))
