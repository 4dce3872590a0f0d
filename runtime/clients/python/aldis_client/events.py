"""Events as an application sees them, and how a frame of news is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MESSAGE_TYPES = frozenset({"message", "message.edited", "message.deleted", "media.ready"})
STATE_TYPES = frozenset({"receipt", "read", "badge", "conversation", "status"})
KNOWN_TYPES = MESSAGE_TYPES | STATE_TYPES
"""Types of this version of the protocol; a client passes over all others."""


class BadFrame(ValueError):
    """A frame does not have the shape that the protocol gives it."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    `source` and `position` say where it stands; an ephemeral event (typing, presence) has an empty source and
    position 0. `body` is the event as it came, without `pos` and `type`.
    """

    source: str
    position: int
    type: str
    body: Mapping[str, Any]

    @property
    def message(self) -> Mapping[str, Any] | None:
        """The message as it is now, for the types that carry one."""
        message = self.body.get("message")
        return message if isinstance(message, dict) else None

    @property
    def payload(self) -> Mapping[str, Any]:
        """The message, or the event's own fields, whether they are nested under its type or not."""
        nested = self.body.get(self.type)
        return self.message or (nested if isinstance(nested, dict) else self.body)

    @property
    def is_ephemeral(self) -> bool:
        """Whether it has no position: never stored, never acknowledged, first to be shed."""
        return not self.source

    @property
    def state_key(self) -> str:
        """What the newest row of a state is kept under: its type, conversation and user."""
        payload = self.payload
        names = (payload.get(name) for name in ("conversation_id", "message_id", "user", "recipient"))
        return ":".join([self.type, *(str(name) for name in names if name is not None)])


def parse_events(source: str, rows: Sequence[Mapping[str, Any]]) -> list[Event]:
    """Read the events of one frame, in its order. Raises `BadFrame`."""
    try:
        return [_parse_event(source, int(row["pos"]), row) for row in rows]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadFrame(f"an event of source {source} has no position or no type") from error


def parse_ephemeral(rows: Sequence[Mapping[str, Any]]) -> list[Event]:
    """Read events without positions. Raises `BadFrame`."""
    try:
        return [_parse_event("", 0, row) for row in rows]
    except (KeyError, TypeError, AttributeError) as error:
        raise BadFrame("an ephemeral event has no type") from error


def _parse_event(source: str, position: int, row: Mapping[str, Any]) -> Event:
    body = {name: value for name, value in row.items() if name not in {"pos", "type"}}
    return Event(source, position, str(row["type"]), body)
