"""Erasing a user: what has been asked for, and the steps in which it is done.

Guarantees as in `ports/store.py`. Every step is bounded, and running it again changes nothing.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from aldis.domain.erasures import ErasureState
from aldis.domain.ids import ConversationId, UserId
from aldis.domain.messages import Message


class Erasure(NamedTuple):
    """A user who is being erased, or has been. `after` is where the work goes on; times are Unix milliseconds."""

    user: UserId
    state: ErasureState
    after: str
    purged: int
    requested_at: int
    updated_at: int


class Unerased(NamedTuple):
    """A conversation of a user with messages above `looked` that have not been looked at."""

    conversation: ConversationId
    looked: int
    head: int


class ErasureRows(Protocol):
    """What a transaction can do."""

    async def put_erasure(self, erasure: Erasure) -> None:
        """Store how far an erasure has come."""
        ...

    async def erasure_of(self, user: UserId) -> Erasure | None:
        """How far it has come, held until this transaction has ended."""
        ...

    async def next_unerased(self, user: UserId, after: str) -> Unerased | None:
        """The first of the user's conversations above the id `after` that has messages to be looked at."""
        ...

    async def messages_between(self, conversation: ConversationId, low: int, high: int) -> list[Message]:
        """The messages of a conversation with a seq above `low` up to `high`, in order."""
        ...

    async def purge_messages(self, messages: Sequence[Message]) -> None:
        """Take content and keys from these messages."""
        ...

    async def forget_states(self, keys: Sequence[tuple[UserId, str]]) -> None:
        """Drop rows of users' states, by (user, key)."""
        ...

    async def forget_progress(self, user: UserId, conversation: ConversationId, looked: int) -> None:
        """Make a member a stranger up to `looked`: nothing below is his to see, and nothing of his is told."""
        ...

    async def forget_rows(self, user: UserId, limit: int) -> int:
        """Drop up to `limit` rows that are about this user alone; answer how many. 0 when none is left."""
        ...

    async def scheduled_drafts(self, after: str, limit: int) -> list[tuple[str, str]]:
        """Up to `limit` scheduled sends above the id `after`, by id, with their drafts."""
        ...

    async def replace_drafts(self, drafts: Sequence[tuple[str, str | None]]) -> None:
        """Give scheduled sends other drafts, by id; those without one are dropped. Either way leases on them end."""
        ...

    async def forget_user(self, user: UserId) -> None:
        """Drop what is left, and raise the floors of the user's sources to their heads, so that no position returns."""
        ...


class ErasureReads(Protocol):
    """What can be read outside one."""

    async def erasure(self, user: UserId) -> Erasure | None:
        """How far it has come."""
        ...

    async def next_erasure(self) -> Erasure | None:
        """The one that has waited longest among those that are not done."""
        ...

    async def scrub(self) -> bool:
        """Overwrite what was deleted wherever the database keeps copies; False when someone reads: call again."""
        ...
