"""The Python client of Aldis: connects, resumes, and applies each message exactly once and in order.

It needs nothing of Aldis but its protocol, and nothing from elsewhere but `websockets`.
"""

from aldis_client.backoff import Backoff
from aldis_client.client import AldisClient
from aldis_client.connection import Welcome
from aldis_client.cursor import GAPLESS, SOURCES, Cursor
from aldis_client.errors import (
    AldisClientError,
    ClientClosed,
    CommandRejected,
    CursorError,
    Disconnected,
    OrderViolation,
    OutboxFull,
    SendRejected,
    Unreachable,
)
from aldis_client.events import Event
from aldis_client.inbox import Batch, Inbox, sift
from aldis_client.outbox import Outbox
from aldis_client.sends import SendResult
from aldis_client.sqlite_store import SqliteStore
from aldis_client.stats import Stats
from aldis_client.store import MemoryStore, Store
from aldis_client.tokens import TokenProvider

__all__ = [
    "GAPLESS",
    "SOURCES",
    "AldisClient",
    "AldisClientError",
    "Backoff",
    "Batch",
    "ClientClosed",
    "CommandRejected",
    "Cursor",
    "CursorError",
    "Disconnected",
    "Event",
    "Inbox",
    "MemoryStore",
    "OrderViolation",
    "Outbox",
    "OutboxFull",
    "SendRejected",
    "SendResult",
    "SqliteStore",
    "Stats",
    "Store",
    "TokenProvider",
    "Unreachable",
    "Welcome",
    "sift",
]
