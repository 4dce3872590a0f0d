"""Replays of dead letters: how far each is, and what a replay does to messages and lanes."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, TextClause, select, text

from aldis.adapters.sql import schema
from aldis.adapters.sql.dialect import Dialect
from aldis.adapters.sql.part import Part
from aldis.adapters.sql.reading import Reading
from aldis.domain.deliveries import Reason, ReplayState
from aldis.domain.ids import MessageId, UserId
from aldis.domain.streams import Lane
from aldis.ports.dead_letters import LetterFilter, Replay

Place = tuple[UserId, Lane, int]


def _renew(dialect: Dialect) -> TextClause:
    rows = dialect.held("messages", dialect.rows("which", "until:int"), "id=which")
    return text(f"UPDATE messages SET expires_at = w.until FROM {rows} w WHERE messages.id = w.which")


def _renewals(dialect: Dialect) -> TextClause:
    return text(
        f"SELECT w.user_id, w.lane, w.seq, MAX(a.at) FROM {dialect.rows('user_id', 'lane', 'seq:int')} w"
        " JOIN attempts a ON a.user_id = w.user_id AND a.lane = w.lane AND a.high >= w.seq AND a.low < w.seq"
        " AND a.outcome = 'renewed' GROUP BY w.user_id, w.lane, w.seq"
    )


def _supersede(dialect: Dialect) -> TextClause:
    return text(
        f"UPDATE stream_events SET own = true FROM {dialect.rows('user_id', 'lane', 'seq:int')} w"
        " WHERE stream_events.user_id = w.user_id AND stream_events.lane = w.lane AND stream_events.seq = w.seq"
    )


class Replays(Part):
    """Replays of one open transaction."""

    async def renew_messages(self, expiries: Sequence[tuple[MessageId, int]]) -> None:
        """Update rows."""
        if expiries:
            await self._run(_renew, sorted(expiries))

    async def renewals(self, places: Sequence[Place]) -> dict[Place, int]:
        """From the record of deliveries."""
        rows = await self._run(_renewals, places) if places else ()
        return {(UserId(user), lane, int(seq)): int(at) for user, lane, seq, at in rows}

    async def supersede_entries(self, places: Sequence[Place]) -> None:
        """Mark entries as the user's own, which are never open, make no receipt and are not rung for."""
        if places:
            await self._run(_supersede, sorted(places))

    async def put_replay(self, replay: Replay) -> None:
        """Upsert a row."""
        table = schema.replays
        insert = self._dialect.insert(table)
        moving = {name: insert.excluded[name] for name in _MOVING}
        statement = insert.on_conflict_do_update(index_elements=[table.c.id], set_=moving)
        row = {**replay._asdict(), **replay.wanted._asdict(), "state": replay.state.value}
        del row["wanted"]
        await self._connection.execute(statement, row)

    async def next_replay(self) -> Replay | None:
        """The first in the order of the key."""
        table = schema.replays
        running = select(table).where(table.c.state == ReplayState.RUNNING.value).order_by(table.c.id).limit(1)
        row = (await self._connection.execute(running.with_for_update())).first()
        return _to_replay(row) if row is not None else None


_MOVING = ("state", "after", "matched", "replayed", "skipped", "updated_at")


class ReplayReads(Reading):
    """The part of the store."""

    async def replay(self, replay: str) -> Replay | None:
        """One row."""
        table = schema.replays
        row = await self._first(select(table).where(table.c.id == replay))
        return _to_replay(row) if row is not None else None


def _to_replay(row: Row[Any]) -> Replay:
    recipient = UserId(row.recipient) if row.recipient is not None else None
    reason = Reason(row.reason) if row.reason is not None else None
    return Replay(
        id=row.id,
        wanted=LetterFilter(row.channel, reason, recipient),
        state=ReplayState(row.state),
        after=row.after,
        until=row.until,
        matched=row.matched,
        replayed=row.replayed,
        skipped=row.skipped,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
