"""The record of what was attempted: appended, read for a message's status and timeline, and aged away."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, TextClause, and_, delete, literal_column, select, text

from aldis.adapters.sql import schema
from aldis.adapters.sql.connection import Executing
from aldis.adapters.sql.dialect import Dialect
from aldis.adapters.sql.part import Part
from aldis.domain.deliveries import BEGINNINGS, RINGS, Outcome, ReplayState
from aldis.domain.ids import MessageId, UserId, first_id_at
from aldis.domain.messages import Message
from aldis.domain.status import Passage, Step
from aldis.domain.streams import Lane
from aldis.ports.deliveries import Attempt

ATTEMPTS = 400  # looked at for one message and recipient: 50 rings of each of some replays

Place = tuple[Lane, int]


def _put_attempts(dialect: Dialect) -> TextClause:
    spans = ("user_id", "lane", "channel", "low:int", "high:int")
    columns = (*spans, "attempt:int", "device_id", "outcome", "at:int")
    names = ", ".join(column.partition(":")[0] for column in columns)
    return text(f"INSERT INTO attempts ({names}) SELECT * FROM {dialect.rows(*columns)} w")


class Records(Part):
    """Records of one open transaction."""

    async def put_attempts(self, attempts: Sequence[Attempt]) -> None:
        """Insert rows."""
        if attempts:
            await self._run(_put_attempts, attempts)

    async def retire_records(self, messages_before: MessageId, records_before: int, limit: int) -> int:
        """Each kind along an index or the order of its key, oldest first."""
        attempts, expiries, states, replays = schema.attempts, schema.expiries, schema.states, schema.replays
        oldest = select(attempts.c.id, attempts.c.at).order_by(attempts.c.id).limit(limit)
        rows = () if self._dialect.has_partitions else await self._connection.execute(oldest)
        aged = [identifier for identifier, at in rows if at < records_before]
        if aged:
            await self._connection.execute(delete(attempts).where(attempts.c.id.in_(aged)))
        is_status = states.c.type == literal_column("'status'")  # as the index says it
        told = and_(is_status, states.c.key < f"status:{messages_before}")
        is_done = replays.c.state == ReplayState.DONE.value
        done = and_(is_done, replays.c.id < first_id_at(records_before))
        dropped = await self._drop(expiries, expiries.c.message_id < messages_before, limit)
        return len(aged) + dropped + await self._drop(states, told, limit) + await self._drop(replays, done, limit)


def _about(message: Message, user: UserId, place: Place, outcomes: Sequence[Outcome]) -> Select[Any]:
    attempts = schema.attempts
    lane, seq = place
    return (
        select(attempts)
        .where(
            attempts.c.user_id == user,
            attempts.c.lane == lane,
            attempts.c.high >= seq,
            attempts.c.low < seq,
            attempts.c.channel == message.channel,
            attempts.c.outcome.in_([outcome.value for outcome in outcomes]),
        )
        .order_by(attempts.c.high)
        .limit(ATTEMPTS)
    )


async def read_places(connection: Executing, message: Message, users: Sequence[UserId]) -> dict[UserId, list[Place]]:
    """Where a message is or was in its recipients' lanes, the newest place last: a replay may have given it another."""
    events = schema.stream_events
    statement = (
        select(events.c.user_id, events.c.lane, events.c.seq)
        .where(events.c.message_id == message.id, events.c.user_id.in_(users), events.c.type.is_(None))
        .order_by(events.c.user_id, events.c.seq)
    )
    places: dict[UserId, list[Place]] = {}
    for user, lane, seq in await connection.execute(statement):
        places.setdefault(UserId(user), []).append((lane, seq))
    return places


async def read_failures(
    connection: Executing, message: Message, users: Sequence[UserId]
) -> dict[UserId, list[Passage]]:
    """For whom it has failed and was neither acknowledged nor replayed since."""
    letters = schema.dead_letters
    statement = select(letters.c.recipient, letters.c.failed_at, letters.c.reason).where(
        letters.c.message_id == message.id, letters.c.recipient.in_(users)
    )
    rows = await connection.execute(statement)
    return {UserId(user): [Passage(Step.FAILED, None, at, reason)] for user, at, reason in rows}


async def read_attempts(
    connection: Executing, message: Message, user: UserId, places: Sequence[Place], outcomes: Sequence[Outcome]
) -> list[Attempt]:
    """What is recorded of a message at its places in one recipient's lanes."""
    rows = [row for place in places for row in await connection.execute(_about(message, user, place, outcomes))]
    return [
        Attempt(
            user, row.lane, row.channel, row.low, row.high, row.attempt, row.device_id, Outcome(row.outcome), row.at
        )
        for row in sorted(rows, key=lambda row: row.id)
    ]


async def read_rings(connection: Executing, message: Message, user: UserId, places: Sequence[Place]) -> list[Attempt]:
    """The rings that were made for it."""
    return await read_attempts(connection, message, user, places, sorted(RINGS))


async def read_turns(connection: Executing, message: Message, user: UserId, places: Sequence[Place]) -> list[Passage]:
    """Where it has failed, and where it was begun anew."""
    turns = await read_attempts(connection, message, user, places, sorted(set(Outcome) - RINGS))
    return [
        Passage(Step.REPLAYED, None, turn.at)
        if turn.outcome in BEGINNINGS
        else Passage(Step.FAILED, None, turn.at, turn.outcome.value)
        for turn in turns
    ]
