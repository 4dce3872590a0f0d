"""Sources and positions: what a device has to be told, and in which order.

`e` and `s` are a user's own two lanes, gapless; `be` and `bs` the installation's broadcasts, of which a device sees
jumps; `r` the user's state, of which only the newest row of a key counts. Order holds within a source, never across.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from aldis.domain.ids import UserId

Source = Literal["e", "s", "be", "bs", "r"]
Lane = Literal["e", "s"]
BroadcastSource = Literal["be", "bs"]
EventType = Literal["message", "message.edited", "message.deleted"]

EXPRESS: Final = "e"
STANDARD: Final = "s"
STATE: Final = "r"
SOURCES: tuple[Source, ...] = ("e", "s", "be", "bs", "r")
LANES: tuple[Lane, ...] = ("e", "s")
LANE_NAMES: dict[str, str] = {"e": "express", "s": "standard"}
BROADCASTS: tuple[Literal["be", "bs"], ...] = ("be", "bs")
MESSAGE: Final = "message"
EDITED: Final = "message.edited"
DELETED: Final = "message.deleted"
MESSAGE_TYPES: tuple[EventType, ...] = (MESSAGE, EDITED, DELETED)
MAX_POSITION = 2**53 - 1  # what every JSON reader can hold exactly


class Priority(StrEnum):
    """How urgent a message is; the two upper ones ride in the express lane."""

    URGENT = "urgent"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


def lane_of(priority: Priority) -> Lane:
    """The lane a message of that priority rides in."""
    return "e" if priority in {Priority.URGENT, Priority.HIGH} else "s"


@dataclass(frozen=True, slots=True)
class LaneHead:
    """How far a user's source has come: its newest position and the highest one that retention took away."""

    seq: int = 0
    floor: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a source as it goes over the wire.

    `body` is the rest of its JSON after `{"pos":N,`, made once for all readers.
    """

    pos: int
    body: bytes
    own: bool = False  # the receiving user sent it: writing it to his sockets is no delivery


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive entries of one source of one user, as they were committed: what gateways are rung with."""

    user: UserId
    source: Source
    events: Sequence[Event]
    at: int = 0  # Unix ms when its first message was accepted; 0 where it does not matter

    @property
    def first(self) -> int:
        """The lowest position in it."""
        return self.events[0].pos

    @property
    def last(self) -> int:
        """The highest position in it."""
        return self.events[-1].pos


@dataclass(frozen=True, slots=True)
class BroadcastEvent(Event):
    """An entry of `be` or `bs`. `audience` is the number of the last change of audiences before it; -1: all hear it."""

    channel: str = ""
    audience: int = 0


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Consecutive entries of `be` or `bs`, as they were committed: what all gateways are rung with."""

    source: BroadcastSource
    events: tuple[BroadcastEvent, ...]
    at: int = 0  # Unix ms when its first message was accepted


def broadcast_source(lane: Lane) -> BroadcastSource:
    """Where a broadcast of that lane is told."""
    return "be" if lane == "e" else "bs"
