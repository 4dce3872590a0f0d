"""Scheduled sends: what waits for its time, who is sending it, and what was refused when it was due.

Guarantees as in `ports/store.py`: the two classes are a transaction's part and a store's part. A row is sent by whoever
holds its lease; all that changes a row or drops it takes the lease away, and a worker whose lease is gone changes
nothing. The keys of what was sent (`domain.scheduling.sent_scope`) outlive the row.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from aldis.domain.ids import ConversationId
from aldis.domain.messages import Message
from aldis.domain.scheduling import Lease, ScheduledId, ScheduledState


class ScheduledSend(NamedTuple):
    """A send that waits, or was refused when it was due: `reason` is that error as JSON. Times are Unix milliseconds.

    `owner` is the scope of the backend that scheduled it. `due_at` is when something is to be done with it: it is to be
    sent, or, once it has failed, to be forgotten; when it was to be sent is in its id.
    """

    id: ScheduledId
    owner: str
    due_at: int
    draft: str
    state: ScheduledState
    reason: str | None
    created_at: int
    leased_until: int | None = None

    @property
    def lease(self) -> Lease:
        """The lease on it; only of one that was leased."""
        assert self.leased_until is not None, "it was leased"
        return Lease(self.owner, self.id, self.leased_until)


class Failure(NamedTuple):
    """A leased send that was refused; `draft` is what is left of it."""

    lease: Lease
    draft: str
    reason: str
    forget_at: int


class SchedulingRows(Protocol):
    """What a transaction can do."""

    async def put_scheduled(self, sends: Sequence[ScheduledSend]) -> None:
        """Store new ones."""
        ...

    async def lease_scheduled(self, now: int, until: int, limit: int) -> list[ScheduledSend]:
        """Take up to `limit` that are due, in the order in which they are, so that no other takes them before `until`.

        Of those that are due together, what was scheduled earlier comes first.
        """
        ...

    async def leases_held(self, leases: Collection[Lease]) -> set[Lease]:
        """Those that still hold, and will until this transaction has ended."""
        ...

    async def drop_leased(self, leases: Collection[Lease]) -> int:
        """Forget what was sent, where the lease still holds; answer how many."""
        ...

    async def postpone_leased(self, leases: Collection[Lease], until: int) -> None:
        """Give the leases up, where they still hold; nobody takes them before `until`."""
        ...

    async def fail_leased(self, failures: Sequence[Failure]) -> int:
        """Keep what was refused, with its reason, where the lease still holds; answer how many."""
        ...

    async def lock_scheduled(self, scheduled: ScheduledId) -> ScheduledSend | None:
        """One of them, which nobody else changes until this transaction has ended."""
        ...

    async def drop_scheduled(self, scheduled: ScheduledId) -> None:
        """Forget one, whoever has leased it."""
        ...

    async def sent_from(self, leases: Collection[Lease]) -> dict[Lease, set[ConversationId]]:
        """Into which conversations something of these has been sent; those of which nothing was are left out."""
        ...

    async def forget_failed(self, now: int, limit: int) -> int:
        """Drop up to `limit` that have failed and are no longer to be kept; answer how many."""
        ...


class SchedulingReads(Protocol):
    """What can be read outside one."""

    async def next_scheduled(self) -> int | None:
        """When the next one is due, Unix ms."""
        ...

    async def scheduled(self, scheduled: ScheduledId) -> ScheduledSend | None:
        """One that waits or has failed."""
        ...

    async def scheduled_of(self, owner: str, after: ScheduledId | None, limit: int) -> list[ScheduledSend]:
        """An owner's, by id (so by time), above `after`."""
        ...

    async def sent_messages(self, owner: str, scheduled: ScheduledId, limit: int) -> list[Message]:
        """The messages that were sent of one, up to `limit`."""
        ...

    async def count_waiting(self, most: int) -> int:
        """How many wait, counted up to `most`."""
        ...
