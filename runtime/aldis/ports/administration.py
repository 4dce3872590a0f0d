"""Administration: channels and keys as administrators see them, search, figures, the audit log.

Guarantees as in `ports/store.py`: the two classes are a transaction's part and a store's part. A search looks at a
bounded number of rows, whatever is asked for, and tells how far it has come.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from aldis.domain.audit import Action
from aldis.domain.channels import Channel
from aldis.domain.devices import Device
from aldis.domain.ids import ConversationId, MessageId, UserId
from aldis.domain.messages import Message
from aldis.ports.erasures import ErasureReads, ErasureRows


class KeptChannel(NamedTuple):
    """A channel that is declared, or was: one that is deleted takes no sends, and keeps what it was."""

    channel: Channel
    is_deleted: bool


class AuditEntry(NamedTuple):
    """What `actor` (`backend:NAME` or `cli`) did to `target`; `details` is JSON, `at` Unix milliseconds."""

    id: str
    actor: str
    action: str
    target: str
    details: bytes
    at: int


class AuditFilter(NamedTuple):
    """Which entries are wanted; None asks for any."""

    actor: str | None = None
    action: str | None = None
    target: str | None = None


class MessageFilter(NamedTuple):
    """Which messages are wanted; None asks for any. Times are Unix milliseconds, `since` included, `until` not."""

    channel: str | None = None
    sender: UserId | None = None
    recipient: UserId | None = None
    conversation: ConversationId | None = None
    since: int | None = None
    until: int | None = None
    text: str | None = None


class SearchPlace(NamedTuple):
    """Below which row a search goes on: a message's id, or a conversation and a seq in it."""

    id: MessageId | None = None
    conversation: ConversationId | None = None
    seq: int | None = None


class Found(NamedTuple):
    """What a bounded search found, and where the next one goes on; None when all has been looked at."""

    messages: list[Message]
    next: SearchPlace | None


class SeenDevice(NamedTuple):
    """A device and when its positions last moved (Unix ms)."""

    device: Device
    seen_at: int


class Profile(NamedTuple):
    """How much there is of a user."""

    devices: list[SeenDevice]
    conversations: int
    subscriptions: list[str]
    blocks: int


class Count(NamedTuple):
    """So many rows, or `value` and more when `is_least`: nobody waits for a million to be counted."""

    value: int
    is_least: bool = False


class AdministrationRows(ErasureRows, Protocol):
    """What a transaction can do."""

    async def put_audit(self, actor: str, action: Action, target: str, details: Mapping[str, object], at: int) -> None:
        """Append to the audit log, in the transaction of what it tells."""
        ...

    async def kept_channel(self, name: str) -> KeptChannel | None:
        """A channel, held until this transaction has ended; None when it was never declared."""
        ...

    async def closed_channels(self, names: Sequence[str]) -> set[str]:
        """Those of `names` that are deleted."""
        ...

    async def close_channel(self, name: str, at: int) -> None:
        """Take a channel out of use; what was sent into it stays."""
        ...


class AdministrationReads(ErasureReads, Protocol):
    """What can be read outside one."""

    async def audit_entries(
        self, wanted: AuditFilter, before: str | None, limit: int
    ) -> tuple[list[AuditEntry], str | None]:
        """Entries below the id `before`, newest first, and the id to go on below, None at the end."""
        ...

    async def channels_after(self, name: str, limit: int) -> list[Channel]:
        """Declared channels by name."""
        ...

    async def search_messages(
        self, wanted: MessageFilter, place: SearchPlace, *, limit: int, window: int, now: int
    ) -> Found:
        """Up to `limit` messages among `window` rows below `place`; `now` tells which can still be read.

        Newest first; for a user's, conversation by conversation.
        """
        ...

    async def profile(self, user: UserId, limit: int) -> Profile:
        """What there is of a user, with at most `limit` subscriptions."""
        ...

    async def counts(self, now: int, most: int) -> Mapping[str, Count]:
        """How many rows of each kind there are, counting at most `most` of each."""
        ...

    async def database_bytes(self) -> int:
        """How much the database holds on its disk, free pages included."""
        ...

    async def schema_version(self) -> str:
        """The newest migration."""
        ...
