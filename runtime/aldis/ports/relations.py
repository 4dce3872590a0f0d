"""Relations: who has blocked whom, who knows whom, and how each member has set a conversation.

Guarantees as in `ports/store.py`: the two classes are a transaction's part and a store's part. A pair of users is in
any order: a block between them is one that either has made.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from aldis.domain.ids import ConversationId, UserId

if TYPE_CHECKING:
    from aldis.ports.store import Conversation, ConversationRow

Pair = tuple[UserId, UserId]


class Block(NamedTuple):
    """A user does not want to hear from another; `blocked_at` is Unix milliseconds."""

    blocked: UserId
    blocked_at: int


class MemberSettings(NamedTuple):
    """How a member has set a conversation for himself."""

    muted: bool
    archived: bool


class RelationRows(Protocol):
    """What a transaction can do."""

    async def blocked_pairs(self, pairs: Sequence[Pair]) -> set[Pair]:
        """Those of `pairs` between whom there is a block, as they were given."""
        ...

    async def put_block(self, user: UserId, other: UserId, at: int) -> bool:
        """Let `user` block `other`; False when it is so already."""
        ...

    async def delete_block(self, user: UserId, other: UserId) -> bool:
        """Take a block away; False when there is none."""
        ...

    async def count_blocks(self, user: UserId, most: int) -> int:
        """How many others `user` has blocked, counted up to `most`."""
        ...

    async def member_settings(self, conversation: ConversationId, user: UserId) -> MemberSettings | None:
        """How a member has set a conversation, held until this transaction has ended; None for a stranger."""
        ...

    async def put_member_settings(self, conversation: ConversationId, user: UserId, settings: MemberSettings) -> None:
        """Store a member's settings."""
        ...


class RelationReads(Protocol):
    """What can be read outside one."""

    async def block(self, user: UserId, other: UserId) -> Block | None:
        """The block of `other` by `user`."""
        ...

    async def blocks(self, user: UserId, after: UserId | None, limit: int) -> list[Block]:
        """Whom `user` has blocked, by name, above `after`."""
        ...

    async def acquaintances(self, user: UserId, others: Sequence[UserId]) -> set[UserId]:
        """Those of `others` who share a chat with `user` and between whom and him there is no block."""
        ...

    async def talks(self, ids: Sequence[ConversationId]) -> "dict[ConversationId, tuple[Conversation, bool]]":
        """The conversations that exist among `ids`, each with whether there is a block between its two members."""
        ...

    async def conversation_of(self, user: UserId, conversation: ConversationId) -> "ConversationRow | None":
        """A conversation as `user` sees it; None for a stranger."""
        ...
