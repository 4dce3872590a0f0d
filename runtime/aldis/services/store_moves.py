"""One transaction for a group of moves: devices forward, receipts and read marks as state for the others.

Positions only move forward and receipts only grow, so a move that comes twice, late or out of order changes nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from aldis.domain.devices import Device
from aldis.domain.errors import AldisError, Rejected
from aldis.domain.ids import ConversationId, DeviceId, UserId
from aldis.domain.receipts import ReadMark, Receipt
from aldis.domain.status import Step
from aldis.domain.streams import LANES, Batch, Lane, Source
from aldis.ports.deliveries import Range
from aldis.ports.store import Move, State, Store, Transaction
from aldis.services import news
from aldis.services.announce import MOVED, moves_json
from aldis.services.close_answered import acknowledged_ranges, close_acknowledged, close_read, lane_moves
from aldis.services.put_states import put_states
from aldis.services.render import receipt_json, value_json

Answer = tuple[int, int] | None | AldisError


@dataclass(frozen=True, slots=True)
class Ack:
    """A device has confirmed up to these positions."""

    user: UserId
    device: DeviceId
    positions: dict[Source, int]


@dataclass(frozen=True, slots=True)
class Sent:
    """Entries above `low` up to `high` were written to a device's socket, the last of them at `at`."""

    user: UserId
    device: DeviceId
    source: Source
    low: int
    high: int
    at: int


@dataclass(frozen=True, slots=True)
class Read:
    """A member has read up to `seq`; `device` is None when it was said by REST."""

    user: UserId
    device: DeviceId | None
    conversation_id: ConversationId
    seq: int


MoveCommand = Ack | Sent | Read


async def store_moves(
    group: Sequence[MoveCommand], *, store: Store, now_ms: int, announces: bool = False
) -> tuple[list[Answer], list[Batch]]:
    """Store a group; answer (unread, badge) for reads, None for the rest, and what the gateways are to be told.

    With `announces` the moves go into the outbox as well, as one row for the whole group.
    """
    acks = [command for command in group if isinstance(command, Ack)]
    reads = [(index, command) for index, command in enumerate(group) if isinstance(command, Read)]
    notes = [Move(c.user, c.device, c.source, Step.SENT, c.low, c.high, c.at) for c in group if isinstance(c, Sent)]
    answers: list[Answer] = [None] * len(group)

    async def recipe(transaction: Transaction) -> list[Batch]:
        moves = await _advance_devices(acks, transaction, now_ms)
        acknowledged = acknowledged_ranges(moves)
        receipts = await _delivered(acknowledged, transaction)
        marks = await _read_marks([read for _, read in reads], receipts, transaction)
        read_moves, states = await _mark_read(reads, marks, answers, transaction, now_ms)
        receipts += [
            Receipt(conversation_id=ConversationId(move.source), user=move.user, read_seq=move.high)
            for move in read_moves
        ]
        states += await _tell_others(receipts, transaction)
        if read_moves:  # what is rung for or fails in these lanes is decided before the reads, or knowing of them
            await transaction.lock_lanes(_lanes_of(acknowledged, read_moves))
        moved = await transaction.advance_lanes(lane_moves(acknowledged))
        await _record(notes + moves + read_moves, transaction, now_ms, announces=announces)
        states += await close_acknowledged(acknowledged, moved, transaction)
        states += await close_read(read_moves, transaction)
        batches = await put_states(states, transaction)
        # Only now that the readers' `r` is held: of two gateways that store reads of one user, the later counts both.
        badges = await _answer_reads(reads, answers, marks, transaction)
        told = [_badge(user, badges[user]) for user in sorted({move.user for move in read_moves})]
        return batches + await put_states(told, transaction)

    batches = await store.run(recipe)
    return answers, batches


async def _record(moves: Sequence[Move], transaction: Transaction, now_ms: int, *, announces: bool) -> None:
    await transaction.record_moves(moves)
    if announces and moves:
        await transaction.put_outbox(MOVED, moves_json(moves), now_ms)


async def _advance_devices(acks: Sequence[Ack], transaction: Transaction, now_ms: int) -> list[Move]:
    """Move devices forward; answer the moves of their lanes."""
    if not acks:
        return []
    known = await transaction.devices(sorted({(ack.user, ack.device) for ack in acks}), hold=True)
    before = dict(known)
    for ack in acks:
        device = known.get((ack.user, ack.device))
        if device is None:
            continue  # removed meanwhile: nobody is left to be moved
        acked = device.acked
        for source, position in ack.positions.items():
            acked = acked.advance(source, position)
        known[ack.user, ack.device] = replace(device, acked=acked)
    changed = [device for key, device in known.items() if device != before[key]]
    await transaction.put_devices(changed, now_ms)
    return [move for device in changed for move in _moves(before[device.user, device.id], device, now_ms)]


def _moves(before: Device, after: Device, now_ms: int) -> Iterable[Move]:
    for lane in LANES:
        low, high = before.acked.at(lane), after.acked.at(lane)
        if high > low:
            yield Move(after.user, after.id, lane, Step.ACKED, low, high, now_ms)


async def _delivered(acknowledged: Sequence[Range], transaction: Transaction) -> list[Receipt]:
    """What others' messages were acknowledged, as receipts of their receivers."""
    return [
        Receipt(
            conversation_id=heard.conversation_id,
            user=heard.user,
            express=heard.seq if heard.lane == "e" else 0,
            standard=heard.seq if heard.lane == "s" else 0,
        )
        for heard in await transaction.heard(acknowledged)
    ]


def _lanes_of(acknowledged: Sequence[Range], read_moves: Sequence[Move]) -> list[tuple[UserId, Lane]]:
    """The lanes of acknowledgements, and both of each reader, for his message may lie in either."""
    of_readers = [(move.user, lane) for move in read_moves for lane in LANES]
    return [(of.user, of.lane) for of in acknowledged] + of_readers


async def _read_marks(
    reads: Sequence[Read], receipts: Sequence[Receipt], transaction: Transaction
) -> dict[tuple[ConversationId, UserId], ReadMark]:
    """The readers' marks; with them all members whose progress is to grow are held at once, in one order."""
    if not reads:
        return {}
    of_reads = {(read.conversation_id, read.user) for read in reads}
    return await transaction.read_marks(sorted(of_reads | {(r.conversation_id, r.user) for r in receipts}))


async def _mark_read(
    reads: Sequence[tuple[int, Read]],
    marks: dict[tuple[ConversationId, UserId], ReadMark],
    answers: list[Answer],
    transaction: Transaction,
    now_ms: int,
) -> tuple[list[Move], list[State]]:
    """Move read marks forward in `marks`; answer the moves and what the reader's other devices are told."""
    moves: list[Move] = []
    states: list[State] = []
    for index, read in reads:
        key = (read.conversation_id, read.user)
        mark = marks.get(key)
        if mark is None:
            answers[index] = Rejected("not_found", "no such conversation of yours", field="conversation_id")
            continue
        seq = min(read.seq, mark.head_seq)
        if seq <= mark.read_seq:
            continue
        own = await transaction.count_own_between(read.conversation_id, read.user, mark.read_seq, seq)
        moves.append(Move(read.user, read.device, read.conversation_id, Step.READ, mark.read_seq, seq, now_ms))
        marks[key] = mark = replace(mark, read_seq=seq, own_read=mark.own_read + own)
        await transaction.put_own_read(read.conversation_id, read.user, mark.own_read)
        value = news.Read(conversation_id=read.conversation_id, read_seq=seq, unread=mark.unread)
        states.append(State(read.user, f"read:{read.conversation_id}", "read", value_json(value)))
    return moves, states


async def _tell_others(receipts: Sequence[Receipt], transaction: Transaction) -> list[State]:
    """Merge receipts into the members' progress; what grew is state for the other members."""
    merged: dict[tuple[ConversationId, UserId], Receipt] = {}
    for receipt in receipts:
        key = (receipt.conversation_id, receipt.user)
        merged[key] = merged[key].merge(receipt) if key in merged else receipt
    if not merged:
        return []
    changed = await transaction.advance_receipts([merged[key] for key in sorted(merged)])
    members = await transaction.conversations(sorted({receipt.conversation_id for receipt in changed}))
    return [
        State(other, f"receipt:{receipt.conversation_id}:{receipt.user}", "receipt", receipt_json(receipt))
        for receipt in changed
        for other in members[receipt.conversation_id].members
        if other != receipt.user
    ]


async def _answer_reads(
    reads: Sequence[tuple[int, Read]],
    answers: list[Answer],
    marks: dict[tuple[ConversationId, UserId], ReadMark],
    transaction: Transaction,
) -> dict[UserId, int]:
    """Answer the reads, now that all marks are stored; returns the readers' badges."""
    open_reads = [(index, read) for index, read in reads if answers[index] is None]
    badges = {user: await transaction.badge(user) for user in sorted({read.user for _, read in open_reads})}
    for index, read in open_reads:
        answers[index] = (marks[read.conversation_id, read.user].unread, badges[read.user])
    return badges


def _badge(user: UserId, badge: int) -> State:
    return State(user, "badge", "badge", value_json(news.Badge(badge=badge)))
