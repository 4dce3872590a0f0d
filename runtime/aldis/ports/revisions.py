"""Revisions: edits and deletions of messages, and threads.

Guarantees as in `ports/store.py`: the two classes are a transaction's part and a store's part.
"""

from collections.abc import Sequence
from typing import Protocol

from aldis.domain.ids import ConversationId, MessageId, UserId
from aldis.domain.messages import Message


class RevisionRows(Protocol):
    """What a transaction can do."""

    async def lock_message(self, message_id: MessageId) -> Message | None:
        """A message as it is now; until this transaction has ended no other one changes it."""
        ...

    async def put_revision(self, message: Message) -> None:
        """Store what a message says now: its content or why that is gone, when it was edited, when it expires."""
        ...

    async def forget_waiting(self, messages: Sequence[Message]) -> None:
        """Drop what waits for these messages, as they were: their expiry and their dead letters."""
        ...

    async def members_from(self, conversation: ConversationId) -> dict[UserId, int]:
        """Each member with the seq up to which all is hidden from him: 0, but for one who was erased and came back."""
        ...


class RevisionReads(Protocol):
    """What can be read outside one."""

    async def thread(
        self, root: Message, *, before: int | None, after: int | None, above: int = 0, limit: int
    ) -> list[Message]:
        """A thread's first message and the replies to it by seq, as `history` gives those of a conversation."""
        ...
