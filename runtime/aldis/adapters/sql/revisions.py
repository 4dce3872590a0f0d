"""Revisions: edits and deletions of messages, threads, and sends that wait for their time."""

from aldis.adapters.sql.part import Part
from aldis.adapters.sql.reading import Reading


class Revisions(Part):
    """The part of an open transaction."""


class RevisionReads(Reading):
    """The part of the store."""
