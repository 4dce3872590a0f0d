"""Deliveries: rings that are due, what was attempted, what failed and is replayed.

Guarantees as in `ports/store.py`: the two classes are a transaction's part and a store's part.
"""

from typing import Protocol


class DeliveryRows(Protocol):
    """What a transaction can do."""


class DeliveryReads(Protocol):
    """What can be read outside one."""
