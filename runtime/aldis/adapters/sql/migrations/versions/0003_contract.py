"""The whole contract: broadcasts, deliveries, edits, scheduled sends, blocks, the audit log, erasure."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

LISTED = (
    ("ix_dead_letters_listed", ["id"], "purged_at IS NULL"),
    ("ix_dead_letters_listed_by_channel", ["channel", "id"], "purged_at IS NULL"),
    ("ix_dead_letters_listed_by_reason", ["reason", "id"], "purged_at IS NULL"),
    ("ix_dead_letters_listed_by_recipient", ["recipient", "id"], "purged_at IS NULL"),
    ("ix_dead_letters_purged_at", ["purged_at"], "purged_at IS NOT NULL"),
)


def upgrade() -> None:
    op.create_table(
        "attempts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("low", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("high", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("attempt", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("device_id", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
    )
    op.create_index("ix_attempts_user_id", "attempts", ["user_id", "lane", "high"], unique=False)
    op.create_table(
        "audit",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_audit_action", "audit", ["action", "id"], unique=False)
    op.create_index("ix_audit_actor", "audit", ["actor", "id"], unique=False)
    op.create_index("ix_audit_target", "audit", ["target", "id"], unique=False)
    op.create_table(
        "blocks",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("blocked", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "blocked", name=op.f("pk_blocks")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_blocks_blocked", "blocks", ["blocked", "user_id"], unique=False)
    op.create_table(
        "broadcast_events",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("conversation_seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("audience_version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("revised_at", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("source", "seq", name=op.f("pk_broadcast_events")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_broadcast_events_message_id", "broadcast_events", ["message_id"], unique=False)
    op.create_index(
        "ix_broadcast_events_source", "broadcast_events", ["source", "channel", "seq", "type"], unique=False
    )
    op.create_table(
        "broadcast_floors",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("channel", "source", name=op.f("pk_broadcast_floors")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "broadcast_heads",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("floor", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_broadcast_heads")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("attempts", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("failed_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("purged_at", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letters")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_dead_letters_message_id", "dead_letters", ["message_id", "recipient"], unique=True)
    op.create_index("ix_dead_letters_recipient", "dead_letters", ["recipient", "lane", "seq"], unique=False)
    for name, columns, condition in LISTED:
        where = sa.text(condition)
        op.create_index(name, "dead_letters", columns, unique=False, sqlite_where=where, postgresql_where=where)
    op.create_table(
        "erasures",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("purged", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("updated_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_erasures")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_erasures_open",
        "erasures",
        ["requested_at"],
        unique=False,
        sqlite_where=sa.text("state != 'done'"),
        postgresql_where=sa.text("state != 'done'"),
    )
    op.create_table(
        "expiries",
        sa.Column("expires_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("expires_at", "message_id", name=op.f("pk_expiries")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_expiries_message_id", "expiries", ["message_id"], unique=False)
    op.create_table(
        "replays",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("recipient", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("until", sa.Text(), nullable=False),
        sa.Column("matched", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("replayed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("skipped", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("updated_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replays")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("low", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("high", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("attempt", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("due_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("started_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rings")),
    )
    op.create_index("ix_rings_due_at", "rings", ["lane", "due_at"], unique=False)
    op.create_index("ix_rings_user_id", "rings", ["user_id", "lane", "high"], unique=False)
    op.create_table(
        "scheduled",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("draft", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("leased_until", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scheduled")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_scheduled_due_at", "scheduled", ["state", "due_at", "created_at", "id"], unique=False)
    op.create_index("ix_scheduled_scope", "scheduled", ["scope", "id"], unique=False)
    op.create_table(
        "subscriptions",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("changed", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("from_be", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("from_bs", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("until_be", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("until_bs", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("subscribed_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "channel", "since", name=op.f("pk_subscriptions")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_subscriptions_changed", "subscriptions", ["changed"], unique=False)
    op.create_index("ix_subscriptions_channel", "subscriptions", ["channel", "user_id"], unique=False)
    op.create_table(
        "users",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("joined_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("everyone_version", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_users")),
        sqlite_with_rowid=False,
    )
    op.add_column("channels", sa.Column("policy", sa.Text(), server_default=sa.text("'{}'"), nullable=False))
    op.add_column(
        "channels", sa.Column("audience_version", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
    op.add_column("channels", sa.Column("created_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("channels", sa.Column("deleted_at", sa.BigInteger(), autoincrement=False, nullable=True))
    op.add_column(
        "conversations", sa.Column("broadcast", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column("members", sa.Column("from_seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("members", sa.Column("muted", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("members", sa.Column("archived", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_index(
        "ix_messages_thread_id",
        "messages",
        ["thread_id", "seq"],
        unique=False,
        sqlite_where=sa.text("thread_id IS NOT NULL"),
        postgresql_where=sa.text("thread_id IS NOT NULL"),
    )
    op.add_column("stream_events", sa.Column("type", sa.Text(), nullable=True))
    op.add_column("stream_events", sa.Column("revised_at", sa.BigInteger(), autoincrement=False, nullable=True))
    op.add_column("stream_heads", sa.Column("run_low", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("stream_heads", sa.Column("rings", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("stream_heads", sa.Column("failed", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    # Lanes that were given up stay so; the others are rung for from where their acknowledgements end.
    op.execute("UPDATE stream_heads SET run_low = CASE WHEN due_at IS NULL THEN seq ELSE acked END")
    op.drop_column("stream_heads", "attempt")  # rings count their own
    op.create_index(
        "ix_states_status",
        "states",
        ["key"],
        unique=False,
        sqlite_where=sa.text("type = 'status'"),
        postgresql_where=sa.text("type = 'status'"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_states_status",
        table_name="states",
        sqlite_where=sa.text("type = 'status'"),
        postgresql_where=sa.text("type = 'status'"),
    )
    op.add_column("stream_heads", sa.Column("attempt", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.drop_column("stream_heads", "failed")
    op.drop_column("stream_heads", "rings")
    op.drop_column("stream_heads", "run_low")
    op.drop_column("stream_events", "revised_at")
    op.drop_column("stream_events", "type")
    op.drop_index(
        "ix_messages_thread_id",
        table_name="messages",
        sqlite_where=sa.text("thread_id IS NOT NULL"),
        postgresql_where=sa.text("thread_id IS NOT NULL"),
    )
    op.drop_column("members", "archived")
    op.drop_column("members", "muted")
    op.drop_column("members", "from_seq")
    op.drop_column("conversations", "broadcast")
    op.drop_column("channels", "deleted_at")
    op.drop_column("channels", "created_at")
    op.drop_column("channels", "audience_version")
    op.drop_column("channels", "policy")
    op.drop_table("users")
    op.drop_index("ix_subscriptions_channel", table_name="subscriptions")
    op.drop_index("ix_subscriptions_changed", table_name="subscriptions")
    op.drop_table("subscriptions")
    op.drop_index("ix_scheduled_scope", table_name="scheduled")
    op.drop_index("ix_scheduled_due_at", table_name="scheduled")
    op.drop_table("scheduled")
    op.drop_index("ix_rings_user_id", table_name="rings")
    op.drop_index("ix_rings_due_at", table_name="rings")
    op.drop_table("rings")
    op.drop_table("replays")
    op.drop_index("ix_expiries_message_id", table_name="expiries")
    op.drop_table("expiries")
    op.drop_index(
        "ix_erasures_open",
        table_name="erasures",
        sqlite_where=sa.text("state != 'done'"),
        postgresql_where=sa.text("state != 'done'"),
    )
    op.drop_table("erasures")
    for name, _, condition in LISTED:
        where = sa.text(condition)
        op.drop_index(name, table_name="dead_letters", sqlite_where=where, postgresql_where=where)
    op.drop_index("ix_dead_letters_recipient", table_name="dead_letters")
    op.drop_index("ix_dead_letters_message_id", table_name="dead_letters")
    op.drop_table("dead_letters")
    op.drop_table("broadcast_heads")
    op.drop_table("broadcast_floors")
    op.drop_index("ix_broadcast_events_source", table_name="broadcast_events")
    op.drop_index("ix_broadcast_events_message_id", table_name="broadcast_events")
    op.drop_table("broadcast_events")
    op.drop_index("ix_blocks_blocked", table_name="blocks")
    op.drop_table("blocks")
    op.drop_index("ix_audit_target", table_name="audit")
    op.drop_index("ix_audit_actor", table_name="audit")
    op.drop_index("ix_audit_action", table_name="audit")
    op.drop_table("audit")
    op.drop_index("ix_attempts_user_id", table_name="attempts")
    op.drop_table("attempts")
