"""Broadcasts: the installation's two sources, and who hears which channel."""

from aldis.adapters.sql.part import Part
from aldis.adapters.sql.reading import Reading


class Broadcasts(Part):
    """The part of an open transaction."""


class BroadcastReads(Reading):
    """The part of the store."""
