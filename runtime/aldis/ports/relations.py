"""Relations: who has blocked whom, and how each member has set a conversation.

Guarantees as in `ports/store.py`: the two classes are a transaction's part and a store's part.
"""

from typing import Protocol


class RelationRows(Protocol):
    """What a transaction can do."""


class RelationReads(Protocol):
    """What can be read outside one."""
