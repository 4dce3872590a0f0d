"""Deliveries: rings that are due, what was attempted, what failed and is replayed."""

from aldis.adapters.sql.part import Part
from aldis.adapters.sql.reading import Reading


class Deliveries(Part):
    """The part of an open transaction."""


class DeliveryReads(Reading):
    """The part of the store."""
