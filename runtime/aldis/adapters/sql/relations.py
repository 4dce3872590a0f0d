"""Relations: who has blocked whom, and how each member has set a conversation."""

from aldis.adapters.sql.part import Part
from aldis.adapters.sql.reading import Reading


class Relations(Part):
    """The part of an open transaction."""


class RelationReads(Reading):
    """The part of the store."""
