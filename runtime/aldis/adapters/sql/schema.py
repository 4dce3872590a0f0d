"""The tables. Migrations make them; a test says that the two agree.

Ids are text in their one form, times Unix milliseconds, JSON text as it was encoded. Stream tables lead with the user
and message tables with the conversation, their natural shard keys. On SQLite the narrow tables are clustered by key.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)
_Words = Text().with_variant(Text(collation="C"), "postgresql")  # as SQLite and Python compare text
_Serial = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only for INTEGER keys


def _text(name: str, *, key: bool = False, null: bool = False) -> Column[str]:
    return Column(name, _Words, primary_key=key, nullable=null)


def _number(name: str, *, key: bool = False, null: bool = False) -> Column[int]:
    return Column(name, BigInteger, primary_key=key, nullable=null, autoincrement=False)


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=text("false"))


installation = Table(
    "installation",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_row"), primary_key=True, autoincrement=False),
    _text("epoch"),
    _number("created_at"),
)

channels = Table(
    "channels",
    metadata,
    _text("name", key=True),
    _text("type"),
    _text("display_name"),
    _text("priority"),
    _number("time_to_live_ms", null=True),
    _number("max_content_bytes", null=True),
    _number("messages_per_second", null=True),
    _number("updated_at"),
    Column("policy", _Words, nullable=False, server_default=text("'{}'")),
    _count("audience_version"),
    _count("created_at"),
    _number("deleted_at", null=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    _text("id", key=True),
    _text("name"),
    _text("hash"),
    _text("scopes"),
    _text("channels"),
    _number("created_at"),
    _number("revoked_at", null=True),
    _number("expires_at", null=True),
    _number("last_used_at", null=True),
)

conversations = Table(
    "conversations",
    metadata,
    _text("id", key=True),
    _text("kind"),
    _text("channel"),
    _number("head_seq"),
    _text("last_message_id"),
    _flag("broadcast"),
    sqlite_with_rowid=False,
)

members = Table(
    "members",
    metadata,
    _text("conversation_id", key=True),
    _text("user_id", key=True),
    _count("own_total"),
    _count("own_read"),
    _count("read_seq"),
    _count("delivered_express"),
    _count("delivered_standard"),
    _count("from_seq"),
    _flag("muted"),
    _flag("archived"),
    Index("ix_members_user_id", "user_id", "conversation_id"),
    sqlite_with_rowid=False,
)

messages = Table(
    "messages",
    metadata,
    _text("id", key=True),
    _text("conversation_id"),
    _number("seq"),
    _text("kind"),
    _text("channel"),
    _text("sender_user", null=True),
    _text("sender_backend", null=True),
    _text("client_id", null=True),
    _text("content", null=True),
    _text("gone", null=True),
    _text("priority"),
    _text("reply_to", null=True),
    _text("thread_id", null=True),
    _number("expires_at", null=True),
    _number("edited_at", null=True),
    UniqueConstraint("conversation_id", "seq").ddl_if(dialect="sqlite"),
    Index("ix_messages_conversation_id", "conversation_id", "seq").ddl_if(dialect="postgresql"),
)
Index(
    "ix_messages_thread_id",
    messages.c.thread_id,
    messages.c.seq,
    sqlite_where=messages.c.thread_id.is_not(None),
    postgresql_where=messages.c.thread_id.is_not(None),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    _text("scope", key=True),
    _text("key", key=True),
    _text("message_id"),
    _text("fingerprint", null=True),
    _number("expires_at"),
    Index("ix_idempotency_keys_expires_at", "expires_at"),
    sqlite_with_rowid=False,
)

stream_heads = Table(
    "stream_heads",
    metadata,
    _text("user_id", key=True),
    _text("source", key=True),
    _number("seq"),
    _count("floor"),
    _count("acked"),
    _number("due_at", null=True),
    _count("run_low"),
    _count("rings"),
    _count("failed"),
    sqlite_with_rowid=False,
)
Index(
    "ix_stream_heads_due_at",
    stream_heads.c.due_at,
    sqlite_where=stream_heads.c.due_at.is_not(None),
    postgresql_where=stream_heads.c.due_at.is_not(None),
)

stream_events = Table(
    "stream_events",
    metadata,
    _text("user_id", key=True),
    _text("lane", key=True),
    _number("seq", key=True),
    _text("message_id"),
    _text("conversation_id"),
    _number("conversation_seq"),
    Column("own", Boolean, nullable=False),
    _text("type", null=True),
    _number("revised_at", null=True),
    Index("ix_stream_events_message_id", "message_id", "user_id"),
    sqlite_with_rowid=False,
)

states = Table(
    "states",
    metadata,
    _text("user_id", key=True),
    _text("key", key=True),
    _number("version"),
    _text("type"),
    _text("value"),
    UniqueConstraint("user_id", "version"),
    sqlite_with_rowid=False,
)

Index(
    "ix_states_status",
    states.c.key,
    sqlite_where=states.c.type == "status",
    postgresql_where=states.c.type == "status",
)

devices = Table(
    "devices",
    metadata,
    _text("user_id", key=True),
    _text("device_id", key=True),
    _text("platform"),
    *(_count(f"start_{source}") for source in ("e", "s", "be", "bs", "r")),
    *(_count(f"acked_{source}") for source in ("e", "s", "be", "bs", "r")),
    _number("seen_at"),
    sqlite_with_rowid=False,
)

cursor_moves = Table(
    "cursor_moves",
    metadata,
    Column("id", _Serial, primary_key=True),
    _text("user_id"),
    _text("device_id", null=True),
    _text("source"),
    _text("step"),
    _number("low"),
    _number("high"),
    _number("at"),
    Index("ix_cursor_moves_user_id", "user_id", "source", "high"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", _Serial, primary_key=True),
    _text("topic"),
    Column("payload", LargeBinary, nullable=False),
    _number("created_at"),
    _number("leased_until", null=True),
)

users = Table(
    "users",
    metadata,
    _text("user_id", key=True),
    _number("joined_at"),
    _count("everyone_version"),
    sqlite_with_rowid=False,
)

broadcast_heads = Table(
    "broadcast_heads",
    metadata,
    _text("source", key=True),
    _number("seq"),
    _count("floor"),
    sqlite_with_rowid=False,
)

broadcast_events = Table(
    "broadcast_events",
    metadata,
    _text("source", key=True),
    _number("seq", key=True),
    _text("channel"),
    _text("message_id"),
    _number("conversation_seq"),
    _number("audience_version"),
    _text("type", null=True),
    _number("revised_at", null=True),
    Index("ix_broadcast_events_source", "source", "channel", "seq", "type"),
    Index("ix_broadcast_events_message_id", "message_id"),
    sqlite_with_rowid=False,
)

broadcast_floors = Table(
    "broadcast_floors",
    metadata,
    _text("channel", key=True),
    _text("source", key=True),
    _number("seq"),
    sqlite_with_rowid=False,
)

subscriptions = Table(
    "subscriptions",
    metadata,
    _text("user_id", key=True),
    _text("channel", key=True),
    _number("since", key=True),
    _number("changed"),
    _number("from_be"),
    _number("from_bs"),
    _number("until_be", null=True),
    _number("until_bs", null=True),
    _number("subscribed_at"),
    Index("ix_subscriptions_channel", "channel", "user_id"),
    Index("ix_subscriptions_changed", "changed"),
    sqlite_with_rowid=False,
)

rings = Table(
    "rings",
    metadata,
    Column("id", _Serial, primary_key=True),
    _text("user_id"),
    _text("lane"),
    _text("channel"),
    _number("low"),
    _number("high"),
    _number("attempt"),
    _number("due_at"),
    _number("started_at"),
    Index("ix_rings_due_at", "lane", "due_at"),
    Index("ix_rings_user_id", "user_id", "lane", "high"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", _Serial, primary_key=True),
    _text("user_id"),
    _text("lane"),
    _text("channel"),
    _number("low"),
    _number("high"),
    _number("attempt"),
    _text("device_id", null=True),
    _text("outcome"),
    _number("at"),
    Index("ix_attempts_user_id", "user_id", "lane", "high"),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    _text("id", key=True),
    _text("message_id"),
    _text("recipient"),
    _text("channel"),
    _text("reason"),
    _text("lane"),
    _number("seq"),
    _number("attempts"),
    _number("failed_at"),
    _number("purged_at", null=True),
    Index("ix_dead_letters_recipient", "recipient", "lane", "seq"),
    Index("ix_dead_letters_message_id", "message_id", "recipient", unique=True),
    sqlite_with_rowid=False,
)


def _index_where(name: str, condition: ColumnElement[bool], *columns: ColumnElement[Any]) -> None:
    """An index of the few rows that fulfil a condition."""
    Index(name, *columns, sqlite_where=condition, postgresql_where=condition)


_is_listed = dead_letters.c.purged_at.is_(None)
_index_where("ix_dead_letters_listed", _is_listed, dead_letters.c.id)
for _listed_by in ("channel", "reason", "recipient"):
    _index_where(f"ix_dead_letters_listed_by_{_listed_by}", _is_listed, dead_letters.c[_listed_by], dead_letters.c.id)
_index_where("ix_dead_letters_purged_at", dead_letters.c.purged_at.is_not(None), dead_letters.c.purged_at)

expiries = Table(
    "expiries",
    metadata,
    _number("expires_at", key=True),
    _text("message_id", key=True),
    Index("ix_expiries_message_id", "message_id"),
    sqlite_with_rowid=False,
)

replays = Table(
    "replays",
    metadata,
    _text("id", key=True),
    _text("channel", null=True),
    _text("reason", null=True),
    _text("recipient", null=True),
    _text("state"),
    _text("after"),
    _text("until"),
    _count("matched"),
    _count("replayed"),
    _count("skipped"),
    _number("created_at"),
    _number("updated_at"),
    sqlite_with_rowid=False,
)

scheduled = Table(
    "scheduled",
    metadata,
    _text("id", key=True),
    _text("scope"),
    _number("due_at"),
    _text("draft"),
    _text("state"),
    _text("reason", null=True),
    _number("created_at"),
    _number("leased_until", null=True),
    Index("ix_scheduled_due_at", "state", "due_at", "created_at", "id"),
    Index("ix_scheduled_scope", "scope", "id"),
    sqlite_with_rowid=False,
)

blocks = Table(
    "blocks",
    metadata,
    _text("user_id", key=True),
    _text("blocked", key=True),
    _number("created_at"),
    Index("ix_blocks_blocked", "blocked", "user_id"),
    sqlite_with_rowid=False,
)

audit = Table(
    "audit",
    metadata,
    _text("id", key=True),
    _text("actor"),
    _text("action"),
    _text("target"),
    _text("details"),
    _number("at"),
    Index("ix_audit_actor", "actor", "id"),
    Index("ix_audit_action", "action", "id"),
    Index("ix_audit_target", "target", "id"),
    sqlite_with_rowid=False,
)

erasures = Table(
    "erasures",
    metadata,
    _text("user_id", key=True),
    _text("state"),
    _text("after"),
    _count("purged"),
    _number("requested_at"),
    _number("updated_at"),
    sqlite_with_rowid=False,
)
Index(
    "ix_erasures_open",
    erasures.c.requested_at,
    sqlite_where=erasures.c.state != "done",
    postgresql_where=erasures.c.state != "done",
)
