"""Events for the outside: what the outbox holds, as CloudEvents 1.0, in batches of one type and one channel.

The form is part of the contract (docs/events.md). An event that is announced again is the same, its id and time
included: all of it comes from the row and from what never changes about a message.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import structlog

from aldis.domain.ids import ConversationId, UserId, rfc3339
from aldis.domain.status import Step
from aldis.ports.announcements import AnnouncementReads, LanePassage, Passed, ReadPassage
from aldis.ports.broker import Broker
from aldis.ports.store import Move, OutboxRow
from aldis.services.render import sender_view

SOURCE = "/aldis"
MOVED = "moved"  # the topic of rows that hold moves; each becomes an event for each message that it has passed
BATCH_EVENTS = 200  # about 80 KB
READ_MESSAGES = 1_000  # looked up at once, however far a device has come in one move
_TYPES = {Step.SENT: "message.sent", Step.ACKED: "message.delivered", Step.READ: "message.read"}
_ONCE = frozenset({"message.accepted", *_TYPES.values()})  # what happens to a message and recipient only once
_encode = msgspec.json.Encoder().encode

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class _Move(msgspec.Struct, array_like=True):
    """A move as it stands in a row."""

    step: Step
    user: UserId
    source: str
    low: int
    high: int
    at: int


class CloudEvent(msgspec.Struct, kw_only=True):
    """One event. `data` says of a message everything but its content."""

    specversion: str = "1.0"
    id: str
    source: str = SOURCE
    type: str
    subject: str
    time: str
    datacontenttype: str = "application/json"
    data: dict[str, Any]


class _Batches:
    """Events on their way, by routing key; each key's in the order in which they came."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._events: dict[str, list[CloudEvent]] = {}
        self._count = 0

    async def add(self, events: Sequence[tuple[str, CloudEvent]]) -> None:
        for topic, event in events:
            self._events.setdefault(topic, []).append(event)
        self._count += len(events)
        if self._count >= READ_MESSAGES:
            await self.leave()

    async def leave(self) -> None:
        """Announce all; raises what an announcement has raised, when none is under way any more."""
        calls = [
            self._broker.announce(topic, _encode(events[first : first + BATCH_EVENTS]))
            for topic, events in self._events.items()
            for first in range(0, len(events), BATCH_EVENTS)
        ]
        self._events, self._count = {}, 0
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome


async def announce(rows: Sequence[OutboxRow], *, store: AnnouncementReads, broker: Broker) -> None:
    """Announce what rows hold, in their order. Raises `Unavailable` when some of it may not have left."""
    if not broker.is_heard:
        return
    batches = _Batches(broker)
    for row in rows:
        moves, events = _read_row(row)
        await batches.add(events)
        for part in _parts(moves):
            await batches.add([_event_of_passage(passed) for passed in await _look_up(part, store)])
    await batches.leave()


def _read_row(row: OutboxRow) -> tuple[list[_Move], list[tuple[str, CloudEvent]]]:
    """What a row holds: moves, or events with their topics."""
    try:
        if row.topic == MOVED:
            return msgspec.json.decode(row.payload, type=list[_Move]), []
        return [], [_event(row.topic, fact, row.at) for fact in msgspec.json.decode(row.payload)]
    except (msgspec.MsgspecError, KeyError, TypeError):
        # Of our own making, so a fault; kept, it would hold up all that comes after it.
        log.exception("outbox_row_unreadable", row=row.id, topic=row.topic)
        return [], []


def moves_json(moves: Sequence[Move]) -> bytes:
    """The payload of a row of moves."""
    return _encode([(m.step, m.user, m.source, m.low, m.high, m.at) for m in moves])


def _parts(moves: Sequence[_Move]) -> Iterator[list[_Move]]:
    """The same ranges, cut and put together so that each part is passed by a bounded number of messages."""
    part: list[_Move] = []
    room = READ_MESSAGES
    for move in moves:
        low = move.low
        while low < move.high:
            high = min(move.high, low + room)
            part.append(msgspec.structs.replace(move, low=low, high=high))
            room -= high - low
            low = high
            if not room:
                yield part
                part, room = [], READ_MESSAGES
    if part:
        yield part


async def _look_up(moves: Sequence[_Move], store: AnnouncementReads) -> list[Passed]:
    lanes = [
        LanePassage(m.step, m.user, "e" if m.source == "e" else "s", m.low, m.high, m.at)
        for m in moves
        if m.step is not Step.READ
    ]
    reads = [ReadPassage(m.user, ConversationId(m.source), m.low, m.high, m.at) for m in moves if m.step is Step.READ]
    in_lanes = await store.passed_in_lanes(lanes) if lanes else []
    return in_lanes + (await store.passed_by_reading(reads) if reads else [])


def _event_of_passage(passed: Passed) -> tuple[str, CloudEvent]:
    facts = {
        "message_id": passed.message_id,
        "conversation_id": passed.conversation_id,
        "channel": passed.channel,
        "kind": passed.kind.value,
        "seq": passed.seq,
        "sender": sender_view(passed.sender),
        "recipient": passed.recipient,
    }
    return _event(_TYPES[passed.step], facts, passed.at)


def _event(type_: str, facts: dict[str, Any], at: int) -> tuple[str, CloudEvent]:
    """Its id says what happened to which message and recipient, and when, if that may happen more than once."""
    message = facts["message_id"]
    parts = [message, type_.rpartition(".")[2]]
    parts += [facts["recipient"]] if "recipient" in facts else []
    parts += [] if type_ in _ONCE else [str(at)]
    event = CloudEvent(id=":".join(parts), type=type_, subject=message, time=rfc3339(at), data=facts)
    return f"{type_}.{facts['channel']}", event
