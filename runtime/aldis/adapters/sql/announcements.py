"""Announcements: the messages that moves have passed, by range of a key."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import TextClause, text

from aldis.adapters.sql.connection import Executing
from aldis.adapters.sql.dialect import Dialect, as_rows
from aldis.adapters.sql.reading import Reading
from aldis.domain.ids import ConversationId, MessageId, UserId
from aldis.domain.messages import Kind, Sender
from aldis.domain.status import Step
from aldis.ports.announcements import LanePassage, Passed, ReadPassage

_MESSAGE = "m.id, m.conversation_id, m.seq, m.kind, m.channel, m.sender_user, m.sender_backend"


def _in_lanes(dialect: Dialect) -> TextClause:
    columns = ("place:int", "step", "user_id", "lane", "low:int", "high:int", "at:int")
    return text(
        f"SELECT w.step, w.user_id, w.at, {_MESSAGE} FROM {dialect.rows(*columns)} w"
        " JOIN stream_events e ON e.user_id = w.user_id AND e.lane = w.lane AND e.seq > w.low AND e.seq <= w.high"
        " JOIN messages m ON m.id = e.message_id WHERE NOT e.own AND e.type IS NULL ORDER BY w.place, e.seq"
    )


def _by_reading(dialect: Dialect) -> TextClause:
    columns = ("place:int", "step", "user_id", "conversation_id", "low:int", "high:int", "at:int")
    return text(
        f"SELECT w.step, w.user_id, w.at, {_MESSAGE} FROM {dialect.rows(*columns)} w"
        " JOIN conversations c ON c.id = w.conversation_id AND NOT c.broadcast"
        " JOIN members b ON b.conversation_id = w.conversation_id AND b.user_id = w.user_id"
        " JOIN messages m ON m.conversation_id = w.conversation_id AND m.seq > w.low AND m.seq <= w.high"
        " WHERE m.seq > b.from_seq AND (m.sender_user IS NULL OR m.sender_user <> w.user_id) ORDER BY w.place, m.seq"
    )


class AnnouncementReads(Reading):
    """The part of the store."""

    async def passed_in_lanes(self, passages: Sequence[LanePassage]) -> list[Passed]:
        """Messages by ranges of lanes."""
        rows = [(place, p.step.value, p.user, p.lane, p.low, p.high, p.at) for place, p in enumerate(passages)]
        return await self._passed(_in_lanes, rows)

    async def passed_by_reading(self, passages: Sequence[ReadPassage]) -> list[Passed]:
        """Messages by ranges of conversations."""
        step = Step.READ.value
        rows = [(place, step, p.user, p.conversation_id, p.low, p.high, p.at) for place, p in enumerate(passages)]
        return await self._passed(_by_reading, rows)

    async def _passed(
        self, build: Callable[[Dialect], TextClause], rows: Sequence[tuple[int | str, ...]]
    ) -> list[Passed]:
        if not rows:
            return []

        async def read(connection: Executing) -> list[Passed]:
            found = await connection.execute(self._dialect.made(build), as_rows(rows))
            return [_to_passed(*row) for row in found]

        return await self._read(read)


def _to_passed(step: str, recipient: str, at: int, message: str, conversation: str, seq: int, *rest: Any) -> Passed:
    kind, channel, user, backend = rest
    return Passed(
        Step(step),
        UserId(recipient),
        at,
        MessageId(message),
        ConversationId(conversation),
        seq,
        Kind(kind),
        channel,
        Sender(user=UserId(user) if user is not None else None, backend=backend),
    )
