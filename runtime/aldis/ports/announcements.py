"""Announcements: what a grouped move says of the messages that it has passed, looked up when events of it leave.

Guarantees as in `ports/store.py`. Both answer in the order of their arguments, then of positions. One's own messages,
events that are no message, and broadcasts are left out. Who asks keeps the ranges narrow: one row a message comes back.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from aldis.domain.ids import ConversationId, MessageId, UserId
from aldis.domain.messages import Kind, Sender
from aldis.domain.status import Step
from aldis.domain.streams import Lane


class LanePassage(NamedTuple):
    """A device's position in a lane has moved from `low` (not included) to `high`."""

    step: Step
    user: UserId
    lane: Lane
    low: int
    high: int
    at: int


class ReadPassage(NamedTuple):
    """A member's read mark has moved from `low` (not included) to `high`."""

    user: UserId
    conversation_id: ConversationId
    low: int
    high: int
    at: int


class Passed(NamedTuple):
    """A message that was passed."""

    step: Step
    recipient: UserId
    at: int
    message_id: MessageId
    conversation_id: ConversationId
    seq: int
    kind: Kind
    channel: str
    sender: Sender


class AnnouncementReads(Protocol):
    """What can be read outside a transaction."""

    async def passed_in_lanes(self, passages: Sequence[LanePassage]) -> list[Passed]:
        """The messages between the ends of each move in a lane."""
        ...

    async def passed_by_reading(self, passages: Sequence[ReadPassage]) -> list[Passed]:
        """The messages between the ends of each move of a read mark."""
        ...
