"""Acknowledgements and reads close what was still rung for, and turn around what had failed.

Lanes say in their heads whether there is anything to close, so that an acknowledgement of somebody who is there looks
at nothing more.
"""

from collections.abc import Sequence

from aldis.domain.deliveries import united
from aldis.domain.ids import UserId
from aldis.domain.status import Status
from aldis.domain.streams import Lane
from aldis.ports.deliveries import LaneMove, Moved, Range
from aldis.ports.store import Move, State, Transaction
from aldis.services.fail_messages import status_states


def acknowledged_ranges(moves: Sequence[Move]) -> list[Range]:
    """What acknowledgements have passed, by lane, each position once."""
    passed = [Range(move.user, "e" if move.source == "e" else "s", move.low, move.high) for move in moves]
    if len({(of.user, of.lane) for of in passed}) == len(passed):
        return passed  # as nearly always
    by_lane: dict[tuple[UserId, Lane], list[tuple[int, int]]] = {}
    for of in passed:
        by_lane.setdefault((of.user, of.lane), []).append((of.low, of.high))
    return [Range(*lane, low, high) for lane, of_lane in by_lane.items() for low, high in united(of_lane)]


def lane_moves(ranges: Sequence[Range]) -> list[LaneMove]:
    """The highest range of each lane: what lies below a gap is looked at when the lane is due."""
    highest = {(of.user, of.lane): of for of in sorted(ranges)}
    return [LaneMove(*of) for of in highest.values()]


async def close_acknowledged(ranges: Sequence[Range], moved: Sequence[Moved], transaction: Transaction) -> list[State]:
    """Close rings and letters that were acknowledged; answer what senders are told of what had failed."""
    if not moved:
        return []
    ringing = {(lane.user, lane.lane) for lane in moved if lane.rings}
    failed = {(lane.user, lane.lane) for lane in moved if lane.failed}
    if ringing:
        await transaction.close_acknowledged([of for of in ranges if (of.user, of.lane) in ringing])
    if not failed:
        return []
    letters = await transaction.drop_acknowledged_letters([of for of in ranges if (of.user, of.lane) in failed])
    messages = await transaction.messages(sorted({letter.message_id for letter in letters}))
    return status_states(letters, messages, Status.DELIVERED)


async def close_read(reads: Sequence[Move], transaction: Transaction) -> list[State]:
    """Close the letters of what was read; answer what senders are told."""
    if not reads:
        return []
    letters = await transaction.drop_read_letters([(read.source, read.user, read.low, read.high) for read in reads])
    messages = await transaction.messages(sorted({letter.message_id for letter in letters})) if letters else {}
    return status_states(letters, messages, Status.READ)
