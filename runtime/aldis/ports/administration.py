"""Administration: search, figures, the audit log and erasure.

Guarantees as in `ports/store.py`: the two classes are a transaction's part and a store's part.
"""

from typing import Protocol


class AdministrationRows(Protocol):
    """What a transaction can do."""


class AdministrationReads(Protocol):
    """What can be read outside one."""
