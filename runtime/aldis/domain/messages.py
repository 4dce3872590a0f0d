"""Messages, the commands that make them, and what becomes of one that is edited or deleted."""

from dataclasses import dataclass, replace
from enum import StrEnum

from aldis.domain.ids import ConversationId, MessageId, UserId, created_ms
from aldis.domain.scheduling import Lease
from aldis.domain.streams import Lane, Priority, lane_of


class Kind(StrEnum):
    """Chat goes two ways; a notification comes from a backend and cannot be answered into."""

    CHAT = "chat"
    NOTIFICATION = "notification"


class Gone(StrEnum):
    """Why a message kept its place but lost its content."""

    EXPIRED = "expired"
    DELETED = "deleted"
    PURGED = "purged"


@dataclass(frozen=True, slots=True)
class Sender:
    """Who wrote: a user or a backend, exactly one of the two."""

    user: UserId | None = None
    backend: str | None = None

    @property
    def scope(self) -> str:
        """The name under which this sender's idempotency keys are kept."""
        return f"u:{self.user}" if self.user is not None else f"b:{self.backend}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendMessage:
    """A message to be stored. `members` is None when an existing conversation is written to, none for a broadcast.

    `content` is its JSON, already checked; `expires_at` Unix milliseconds; `request_key` an Idempotency-Key with the
    fingerprint of its body. `begins`: it may be the first of a conversation where users may only go on. `own_channels`
    are those that the sending key is for; empty means every channel. `lease`: that of the scheduled send it comes from.
    """

    message_id: MessageId
    kind: Kind
    channel: str
    sender: Sender
    conversation_id: ConversationId
    members: tuple[UserId, ...] | None
    content: bytes
    priority: Priority = Priority.NORMAL
    client_id: str | None = None
    reply_to: MessageId | None = None
    expires_at: int | None = None
    request_key: str | None = None
    fingerprint: str | None = None
    everyone: bool = False  # a broadcast that all hear, whether they have subscribed or not
    begins: bool = False
    own_channels: frozenset[str] = frozenset()
    lease: Lease | None = None

    @property
    def lane(self) -> Lane:
        """The lane it rides in."""
        return lane_of(self.priority)

    @property
    def keys(self) -> list[tuple[str, str]]:
        """The idempotency keys it holds, each with its scope: its sender's own, or those of the scheduled send."""
        if self.lease is not None:
            return [(self.lease.claim_scope, self.conversation_id)]
        return request_keys(self.sender, self.client_id, self.request_key)


def request_keys(sender: Sender, client_id: str | None, request_key: str | None) -> list[tuple[str, str]]:
    """The keys under which a sender's request is known, each with its scope."""
    keys = [(sender.scope, f"c:{client_id}")] if client_id is not None else []
    if request_key is not None:
        keys.append((sender.scope, f"h:{request_key}"))
    return keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A stored message. `content` is JSON text, None when it is gone; times are Unix milliseconds."""

    id: MessageId
    conversation_id: ConversationId
    seq: int
    kind: Kind
    channel: str
    sender: Sender
    content: bytes | None
    priority: Priority
    client_id: str | None = None
    gone: Gone | None = None
    reply_to: MessageId | None = None
    thread_id: MessageId | None = None
    expires_at: int | None = None
    edited_at: int | None = None

    @property
    def created_at(self) -> int:
        """Unix milliseconds, from inside the id."""
        return created_ms(self.id)

    @property
    def lane(self) -> Lane:
        """The lane it rides in."""
        return lane_of(self.priority)

    def gone_at(self, now_ms: int) -> Gone | None:
        """Why there is nothing left to read at `now_ms`; None while there is."""
        if self.gone is None and self.expires_at is not None and self.expires_at <= now_ms:
            return Gone.EXPIRED
        return self.gone


def edited(message: Message, content: bytes, now_ms: int) -> Message:
    """The message with another content."""
    return replace(message, content=content, edited_at=now_ms)


def deleted(message: Message) -> Message:
    """What its sender leaves of a message: its place. There is nothing in it that could expire any more."""
    return replace(message, content=None, gone=Gone.DELETED, edited_at=None, expires_at=None)


def purged(message: Message) -> Message:
    """What is left of a message of one who was erased: its place, and nothing that he gave."""
    return replace(message, content=None, gone=Gone.PURGED, client_id=None, edited_at=None)


@dataclass(frozen=True, slots=True)
class Stored:
    """The answer to a send: where the message is. `duplicate` when an earlier send had the same key."""

    message_id: MessageId
    conversation_id: ConversationId
    seq: int
    duplicate: bool = False
