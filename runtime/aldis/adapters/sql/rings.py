"""The part of a transaction that looks after lanes that are due, and after rings."""

from collections import Counter
from collections.abc import Iterable, Sequence

from sqlalchemy import TextClause, text

from aldis.adapters.sql.dialect import Dialect
from aldis.adapters.sql.open_entries import IN_RANGE, OPEN, count_rings
from aldis.adapters.sql.part import Part
from aldis.domain.ids import UserId
from aldis.domain.streams import Lane
from aldis.ports.deliveries import (
    DueLane,
    LaneMove,
    LookedAt,
    Moved,
    NewRing,
    OpenEntry,
    OpenRing,
    Range,
    Rung,
    Stretch,
)


def _lock_lanes(dialect: Dialect) -> TextClause:
    return text(
        f"SELECT h.user_id, h.source, h.floor FROM {dialect.rows('user_id', 'lane')} w"
        " JOIN stream_heads h ON h.user_id = w.user_id AND h.source = w.lane"
        f" ORDER BY h.user_id, h.source{dialect.locking('h')}"
    )


def _advance_lanes(dialect: Dialect) -> TextClause:
    # Where the range joins what was acknowledged or looked at before, nothing is left in between; else it stays due.
    rows = dialect.rows("user_id", "lane", "low:int", "high:int")
    joins = "(w.low <= stream_heads.acked OR w.low <= stream_heads.run_low OR w.low <= stream_heads.floor)"
    return text(
        f"UPDATE stream_heads SET acked = CASE WHEN w.high > stream_heads.acked AND {joins} THEN w.high"
        " ELSE stream_heads.acked END,"
        f" due_at = CASE WHEN w.high >= stream_heads.seq AND {joins} THEN NULL ELSE stream_heads.due_at END FROM "
        f"{dialect.held('stream_heads', rows, 'user_id', 'source=lane')} w"
        " WHERE stream_heads.user_id = w.user_id AND stream_heads.source = w.lane"
        " RETURNING stream_heads.user_id, stream_heads.source, stream_heads.rings, stream_heads.failed"
    )


def _claim_due_lanes(dialect: Dialect) -> TextClause:
    return text(
        "WITH due AS MATERIALIZED (SELECT user_id, source FROM stream_heads WHERE due_at IS NOT NULL AND due_at <= :now"
        f" ORDER BY due_at LIMIT :most{dialect.leasing('stream_heads')})"
        " UPDATE stream_heads SET due_at = NULL FROM due"
        " WHERE stream_heads.user_id = due.user_id AND stream_heads.source = due.source"
        " RETURNING stream_heads.user_id, stream_heads.source, run_low, acked, floor, seq, rings"
    )


def _open_stretches(dialect: Dialect) -> TextClause:
    return text(
        "SELECT w.user_id, w.lane, c.channel, MIN(e.seq) - 1, MAX(e.seq), MIN(e.message_id) FROM "
        f"{dialect.rows('user_id', 'lane', 'low:int', 'high:int')} w"
        f" JOIN stream_events e ON {IN_RANGE.format(of='w')}{OPEN} GROUP BY w.user_id, w.lane, c.channel"
    )


def _settle_lanes(dialect: Dialect) -> TextClause:
    rows = dialect.rows("user_id", "lane", "high:int", "due:int")
    return text(
        "UPDATE stream_heads SET run_low = w.high, due_at = w.due FROM "
        f"{dialect.held('stream_heads', rows, 'user_id', 'source=lane')} w"
        " WHERE stream_heads.user_id = w.user_id AND stream_heads.source = w.lane"
    )


def _rings_of(dialect: Dialect) -> TextClause:
    return text(
        f"SELECT r.id, r.user_id, r.lane, r.channel, r.low, r.high, r.attempt FROM {dialect.rows('user_id', 'lane')} w"
        " JOIN rings r ON r.user_id = w.user_id AND r.lane = w.lane"
    )


def _put_rings(dialect: Dialect) -> TextClause:
    columns = ("user_id", "lane", "channel", "low:int", "high:int", "due_at:int", "started_at:int")
    return text(
        "INSERT INTO rings (user_id, lane, channel, low, high, due_at, started_at, attempt)"
        f" SELECT w.*, 0 FROM {dialect.rows(*columns)} w"
    )


def _extend_rings(dialect: Dialect) -> TextClause:
    return text(f"UPDATE rings SET high = w.upto FROM {dialect.rows('which:int', 'upto:int')} w WHERE id = w.which")


def _shorten_rings(dialect: Dialect) -> TextClause:
    return text(f"UPDATE rings SET low = w.above FROM {dialect.rows('which:int', 'above:int')} w WHERE id = w.which")


def _lease_rings(dialect: Dialect) -> TextClause:
    return text(
        "WITH due AS MATERIALIZED (SELECT id FROM rings WHERE lane = :lane AND due_at <= :now"
        f" ORDER BY due_at LIMIT :most{dialect.leasing('rings')})"
        " UPDATE rings SET due_at = :until FROM due WHERE rings.id = due.id"
        " RETURNING rings.id, user_id, lane, channel, low, high, attempt"
    )


def _settle_rings(dialect: Dialect) -> TextClause:
    return text(
        "UPDATE rings SET attempt = w.reached, due_at = w.due FROM "
        f"{dialect.rows('which:int', 'reached:int', 'due:int')} w"
        " WHERE rings.id = w.which AND rings.attempt = w.reached - 1 RETURNING rings.id"
    )


def _close_rings(dialect: Dialect) -> TextClause:
    return text(
        "DELETE FROM rings WHERE (id, attempt) IN (SELECT which, reached FROM "
        f"{dialect.rows('which:int', 'reached:int')} w) RETURNING user_id, lane"
    )


def _close_acknowledged(dialect: Dialect) -> TextClause:
    return text(
        f"DELETE FROM rings WHERE id IN (SELECT r.id FROM {dialect.rows('user_id', 'lane', 'low:int', 'high:int')} w"
        " JOIN rings r ON r.user_id = w.user_id AND r.lane = w.lane AND r.high > w.low AND r.high <= w.high"
        " WHERE r.low >= w.low) RETURNING user_id, lane"
    )


def _shorten_acknowledged(dialect: Dialect) -> TextClause:
    return text(
        f"UPDATE rings SET low = w.upto FROM {dialect.rows('user_id', 'lane', 'above:int', 'upto:int')} w"
        " WHERE rings.user_id = w.user_id AND rings.lane = w.lane AND rings.high > w.upto"
        " AND rings.low >= w.above AND rings.low < w.upto"
    )


def _open_in_rings(dialect: Dialect) -> TextClause:
    return text(
        "SELECT r.id, r.user_id, r.lane, r.channel, e.seq, e.message_id, e.conversation_id, r.attempt FROM "
        f"{dialect.rows('which:int', 'reached:int')} w JOIN rings r ON r.id = w.which AND r.attempt = w.reached"
        f" JOIN stream_events e ON {IN_RANGE.format(of='r')}{OPEN} AND c.channel = r.channel"
        " ORDER BY r.id, e.seq LIMIT :most"
    )


def still_open(dialect: Dialect) -> TextClause:
    """The rings that have something open."""
    return text(
        f"SELECT r.id FROM {dialect.rows('which:int')} w JOIN rings r ON r.id = w.which WHERE EXISTS"
        f" (SELECT 1 FROM stream_events e{OPEN} AND {IN_RANGE.format(of='r')} AND c.channel = r.channel)"
    )


class Rings(Part):
    """Lanes and rings of one open transaction."""

    async def lock_lanes(self, lanes: Sequence[tuple[UserId, Lane]]) -> dict[tuple[UserId, Lane], int]:
        """Rows in the order in which all lock them."""
        found = await self._run(_lock_lanes, sorted(set(lanes))) if lanes else ()
        return {(UserId(user), lane): int(floor) for user, lane, floor in found}

    async def advance_lanes(self, moves: Sequence[LaneMove]) -> list[Moved]:
        """Update heads."""
        if not moves:
            return []
        heads = await self._run(_advance_lanes, sorted(moves))
        return [Moved(user, lane, rings, failed) for user, lane, rings, failed in heads if rings or failed]

    async def claim_due_lanes(self, now: int, limit: int) -> list[DueLane]:
        """Update heads by the index of those that are due."""
        statement = self._dialect.made(_claim_due_lanes)
        rows = await self._connection.execute(statement, {"now": now, "most": limit})
        return [DueLane(user, lane, max(looked), head, rings) for user, lane, *looked, head, rings in rows]

    async def open_stretches(self, ranges: Sequence[Range]) -> list[Stretch]:
        """One query over the entries."""
        return [Stretch(*row) for row in await self._run(_open_stretches, ranges)] if ranges else []

    async def settle_lanes(self, looked: Sequence[LookedAt]) -> None:
        """Update heads."""
        if looked:
            await self._run(_settle_lanes, looked)

    async def rings_of(self, lanes: Sequence[tuple[UserId, Lane]]) -> list[OpenRing]:
        """Rows by their lanes."""
        return [OpenRing(*row) for row in await self._run(_rings_of, lanes)] if lanes else []

    async def put_rings(self, rings: Sequence[NewRing]) -> None:
        """Insert rows and count them."""
        if rings:
            await self._run(_put_rings, rings)
            await self._count((ring.user, ring.lane) for ring in rings)

    async def extend_rings(self, highs: Sequence[tuple[int, int]]) -> None:
        """Update rows."""
        if highs:
            await self._run(_extend_rings, highs)

    async def shorten_rings(self, lows: Sequence[tuple[int, int]]) -> None:
        """Update rows."""
        if lows:
            await self._run(_shorten_rings, lows)

    async def lease_rings(self, lane: Lane, now: int, until: int, limit: int) -> list[OpenRing]:
        """Move what is due to the lease's end: a worker that dies leaves it due again then."""
        parameters = {"lane": lane, "now": now, "until": until, "most": limit}
        rows = await self._connection.execute(self._dialect.made(_lease_rings), parameters)
        return [OpenRing(*row) for row in rows]

    async def settle_rings(self, rung: Sequence[Rung]) -> set[int]:
        """Update rows that stand at the attempt before."""
        return {identifier for (identifier,) in await self._run(_settle_rings, rung)} if rung else set()

    async def close_rings(self, rings: Sequence[OpenRing]) -> None:
        """Delete rows and count them."""
        if rings:
            closed = await self._run(_close_rings, [(ring.id, ring.attempt) for ring in rings])
            await self._count(((user, lane) for user, lane in closed), -1)

    async def close_acknowledged(self, ranges: Sequence[Range]) -> None:
        """Delete what lies within, then move the lower ends of what begins there."""
        if ranges:
            closed = await self._run(_close_acknowledged, ranges)
            await self._count(((user, lane) for user, lane in closed), -1)
            await self._run(_shorten_acknowledged, ranges)

    async def open_in_rings(self, rings: Sequence[OpenRing], limit: int) -> list[tuple[int, OpenEntry]]:
        """One query over the entries."""
        wanted = [(ring.id, ring.attempt) for ring in rings]
        rows = await self._run(_open_in_rings, wanted, most=limit) if rings else ()
        return [(identifier, OpenEntry(*entry)) for identifier, *entry in rows]

    async def _count(self, lanes: Iterable[tuple[UserId, Lane]], each: int = 1) -> None:
        more = Counter(lanes)
        if more:
            await self._run(count_rings, [(*lane, each * count) for lane, count in sorted(more.items())])
