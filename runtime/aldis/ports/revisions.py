"""Revisions: edits and deletions of messages, threads, and sends that wait for their time.

Guarantees as in `ports/store.py`: the two classes are a transaction's part and a store's part.
"""

from typing import Protocol


class RevisionRows(Protocol):
    """What a transaction can do."""


class RevisionReads(Protocol):
    """What can be read outside one."""
