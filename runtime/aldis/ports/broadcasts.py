"""Broadcasts: the installation's two sources, and who hears which channel.

Guarantees as in `ports/store.py`: the two classes are a transaction's part and a store's part.
"""

from typing import Protocol


class BroadcastRows(Protocol):
    """What a transaction can do."""


class BroadcastReads(Protocol):
    """What can be read outside one."""
