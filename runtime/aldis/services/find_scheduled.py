"""What a backend has scheduled, and what became of it: whichever of its keys asks.

What waits or has failed is a row; what was sent is known by its messages, for as long as a `client_id` is; what was
taken back, or named only users who were erased, leaves nothing.
"""

from dataclasses import dataclass

from aldis.domain.errors import Rejected
from aldis.domain.messages import Message
from aldis.domain.scheduling import ScheduledId, ScheduledState
from aldis.ports.scheduling import ScheduledSend
from aldis.ports.store import Store
from aldis.services.pages import Page

MESSAGES = 1_000  # of one scheduled send that are told: as many as it may have recipients


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a scheduled send: what is left of it, and the messages that it was."""

    id: ScheduledId
    state: ScheduledState
    row: ScheduledSend | None = None
    messages: tuple[Message, ...] = ()


async def list_scheduled(
    owner: str, *, after: ScheduledId | None, limit: int, store: Store
) -> Page[ScheduledSend, ScheduledId]:
    """A backend's scheduled sends that wait or have failed, soonest first."""
    found = await store.scheduled_of(owner, after, limit + 1)
    items = found[:limit]
    return Page(items=items, next=items[-1].id if len(found) > limit else None)


async def find_scheduled(owner: str, scheduled: ScheduledId, *, store: Store) -> Outcome:
    """One of a backend's scheduled sends; raises `Rejected("not_found")` for what was never there, or is gone."""
    outcome = await follow_scheduled(owner, scheduled, store=store)
    if outcome.state is ScheduledState.CANCELLED:
        raise Rejected("not_found", "you have no such scheduled send", field="scheduled_id")
    return outcome


async def follow_scheduled(owner: str, scheduled: ScheduledId, *, store: Store) -> Outcome:
    """What became of an id that was given to this owner."""
    row = await store.scheduled(scheduled)  # before the messages: it leaves after they have come
    if row is not None and row.owner == owner:
        return Outcome(scheduled, row.state, row)
    messages = await store.sent_messages(owner, scheduled, MESSAGES)
    return Outcome(scheduled, ScheduledState.SENT if messages else ScheduledState.CANCELLED, None, tuple(messages))
