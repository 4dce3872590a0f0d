"""The states of an erasure, in their order."""

from enum import StrEnum


class ErasureState(StrEnum):
    """What is being done now. Each can be begun again at any place."""

    MESSAGES = "messages"  # contents go, and the others are told
    ROWS = "rows"  # streams, devices, settings, records
    SCHEDULED = "scheduled"  # sends that wait and name the user
    FILES = "files"  # what the database's files still hold of it
    DONE = "done"
