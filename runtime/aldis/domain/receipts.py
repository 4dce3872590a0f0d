"""Receipts: how far a member has come in a conversation, told to the others as state.

A receipt is the highest conversation `seq` a member's devices have acknowledged in each lane, and the highest one read.
It only grows, so merging any two versions in any order gives the same.
"""

from dataclasses import dataclass

from aldis.domain.ids import ConversationId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One member's progress in one conversation."""

    conversation_id: ConversationId
    user: UserId
    express: int = 0
    standard: int = 0
    read_seq: int = 0

    def merge(self, other: "Receipt") -> "Receipt":
        """Both together: the higher of each."""
        return Receipt(
            conversation_id=self.conversation_id,
            user=self.user,
            express=max(self.express, other.express),
            standard=max(self.standard, other.standard),
            read_seq=max(self.read_seq, other.read_seq),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMark:
    """What a member has read and written in a conversation; enough to count what is unread without counting rows."""

    head_seq: int
    read_seq: int
    own_total: int
    own_read: int

    @property
    def unread(self) -> int:
        """Messages of others above the read mark."""
        return max(0, (self.head_seq - self.read_seq) - (self.own_total - self.own_read))
