"""The audit log: what administrators did, in words that stay the same.

An entry is written in the transaction of what it tells, so that neither is ever there without the other.
"""

from enum import StrEnum
from typing import Final

CLI: Final = "cli"  # who acted, when it was a person at a terminal beside the data folder


class Action(StrEnum):
    """What was done; its target is a name or an id, and the details hold no content and no secret."""

    CHANNEL_APPLY = "channel.apply"
    CHANNEL_DELETE = "channel.delete"
    KEY_CREATE = "key.create"
    KEY_REVOKE = "key.revoke"
    KEY_ROTATE = "key.rotate"
    CONNECTION_CLOSE = "connection.close"
    USER_DISCONNECT = "user.disconnect"
    USER_ERASE = "user.erase"
    MESSAGE_SEARCH = "message.search"
    DEAD_LETTER_REPLAY = "dead_letter.replay"
    DEAD_LETTER_DELETE = "dead_letter.delete"
