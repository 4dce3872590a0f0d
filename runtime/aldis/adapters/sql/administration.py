"""Administration: search, figures, the audit log and erasure."""

from aldis.adapters.sql.part import Part
from aldis.adapters.sql.reading import Reading


class Administration(Part):
    """The part of an open transaction."""


class AdministrationReads(Reading):
    """The part of the store."""
