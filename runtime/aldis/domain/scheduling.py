"""Sends that wait for their time: when that may be, and what becomes of them.

The id of one is a UUIDv7 of the time it is due at, as a message's is of the time it was made at. So `send_at` is the
time inside the id, also when nothing else is left of the send, and ids sort as the sends are due.
"""

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, NewType

from aldis.domain.errors import Rejected
from aldis.domain.ids import created_ms, new_id

ScheduledId = NewType("ScheduledId", str)

HORIZON_DAYS = 366  # the same day of the next year, also across a leap day
HORIZON_MS = HORIZON_DAYS * 24 * 3600 * 1000
GRACE_MS = 5_000  # a request may be on its way for so long, or its sender's clock be behind: it is sent at once
MAX_PLACE = 0xFFF  # places within one millisecond that an id can tell apart
_EPOCH = datetime.fromtimestamp(0, UTC)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class ScheduledState(StrEnum):
    """What became of a scheduled send. Only those that wait or have failed are kept."""

    WAITING = "waiting"
    FAILED = "failed"
    SENT = "sent"
    CANCELLED = "cancelled"


class Lease(NamedTuple):
    """The right to send a scheduled send, as long as `until` is what the store has: whoever changes it takes the right.

    `owner` is the scope of the backend that scheduled it.
    """

    owner: str
    id: ScheduledId
    until: int

    @property
    def claim_scope(self) -> str:
        """The scope of the keys that make one message of each of its recipients, however often it is sent."""
        return sent_scope(self.owner, self.id)


def sent_scope(owner: str, scheduled: ScheduledId) -> str:
    """Where the keys of what was sent of a scheduled send are: the key is the conversation's id."""
    return f"s:{owner}:{scheduled}"


def new_scheduled_id(due_ms: int, place: int = 0) -> ScheduledId:
    """An id of that time; of several made together for one time, the one with the lower `place` comes first."""
    text = new_id(max(due_ms, 0))  # nothing is due before 1970, but it may be asked for
    return ScheduledId(f"{text[:15]}{min(place, MAX_PLACE):03x}{text[18:]}")


def due_ms_of(scheduled: ScheduledId) -> int:
    """Unix milliseconds at which it is, or was, due."""
    return created_ms(scheduled)


def parse_time(text: str, field: str) -> int:
    """The Unix milliseconds of an RFC 3339 time; what is finer is cut off."""
    if _TIME.fullmatch(text):
        try:
            return (datetime.fromisoformat(text.upper()) - _EPOCH) // timedelta(milliseconds=1)
        except (ValueError, OverflowError):
            pass  # the 30th of February
    raise Rejected("bad_request", f"{field} must be a time like 2026-11-24T08:00:00Z (RFC 3339)", field=field)


def refuse_time(due_ms: int, now_ms: int) -> Rejected | None:
    """Why nothing can be scheduled for that time: it has passed, or is too far away. None when it can."""
    if due_ms < now_ms - GRACE_MS:
        return Rejected("bad_request", "send_at has passed: leave it out to send at once", field="send_at")
    if due_ms > now_ms + HORIZON_MS:
        return Rejected("bad_request", f"send_at is more than {HORIZON_DAYS} days ahead", field="send_at")
    return None
