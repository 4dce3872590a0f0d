"""Words for what delivering a message came to. Which status follows from them is in `status.py`."""

from collections.abc import Iterable
from enum import StrEnum


class Reason(StrEnum):
    """Why a message has failed for a recipient."""

    ATTEMPTS_EXHAUSTED = "attempts_exhausted"  # rung as often as its channel says, and not acknowledged
    EXPIRED = "expired"  # its time was over before any device had it


class Outcome(StrEnum):
    """What is recorded of a stretch of a lane: what came of a ring, that it has failed, that it was begun anew."""

    RUNG = "rung"  # a gateway that holds a connection of the user was rung
    NO_CONNECTION = "no_connection"  # there was none
    UNKNOWN = "unknown"  # nobody could say, or the doorbell was lost
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    EXPIRED = "expired"
    REPLAYED = "replayed"  # is rung for again, from the first attempt
    RENEWED = "renewed"  # the same after its time was over: it has a new place and its whole life again


RINGS = frozenset({Outcome.RUNG, Outcome.NO_CONNECTION, Outcome.UNKNOWN})
BEGINNINGS = frozenset({Outcome.REPLAYED, Outcome.RENEWED})
OUTCOME_OF = {Reason.ATTEMPTS_EXHAUSTED: Outcome.ATTEMPTS_EXHAUSTED, Reason.EXPIRED: Outcome.EXPIRED}


class ReplayState(StrEnum):
    """How far a replay of dead letters is."""

    RUNNING = "running"
    DONE = "done"


def runs(positions: Iterable[int]) -> list[tuple[int, int]]:
    """Distinct positions as few ranges (low, high], in order: those next to one another are one."""
    found: list[tuple[int, int]] = []
    for position in sorted(positions):
        if found and found[-1][1] == position - 1:
            found[-1] = (found[-1][0], position)
        else:
            found.append((position - 1, position))
    return found


def united(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges (low, high] as few ones, in order: those that touch or overlap are one."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found
