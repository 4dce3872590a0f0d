"""What only PostgreSQL has: text in the order of its bytes, room in rows that change often, partitions by time."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
floor = "0003"  # programs that know only this one can use what is made here
branch_labels = None
depends_on = None

_CHANGING = ("conversations", "members", "stream_heads", "devices", "rings", "scheduled")
_SHORT_LIVED = ("outbox", "idempotency_keys")
_LONG = {"messages": "content", "outbox": "payload", "scheduled": "draft"}
# PostgreSQL's own way takes a millisecond for the events of a large group of sends, this one a tenth of that. A server
# may have been built without it.
_COMPRESS = """
DO $$ BEGIN
    ALTER TABLE {table} ALTER COLUMN {column} SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN NULL;
END $$
"""
_PARTITIONED = {
    "messages": ("id", "id"),
    "cursor_moves": ("at", "id, at"),
    "attempts": ("at", "id, at"),
}  # key, primary


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    _compare_bytes()
    for table in _CHANGING:
        op.execute(f"ALTER TABLE {table} SET (fillfactor = 80)")
    for table in (*_CHANGING, *_SHORT_LIVED):
        op.execute(f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.02)")
    for table, column in _LONG.items():
        op.execute(_COMPRESS.format(table=table, column=column))
    for table, (key, primary) in _PARTITIONED.items():
        _partition(table, key, primary)


def _compare_bytes() -> None:
    inspector = sa.inspect(op.get_bind())
    for table in inspector.get_table_names():
        words = [column["name"] for column in inspector.get_columns(table) if isinstance(column["type"], sa.Text)]
        changes = ", ".join(f'ALTER COLUMN "{name}" TYPE text COLLATE "C"' for name in words)
        if words:
            op.execute(f'ALTER TABLE "{table}" {changes}')


def _partition(table: str, key: str, primary: str) -> None:
    """Make a table anew with the same columns, rows and indexes; none is unique over partitions but the primary one."""
    bind, whole = op.get_bind(), f"{table}_whole"
    find = (
        "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = CAST(:table AS regclass) AND NOT indisunique"
    )
    indexes = bind.execute(sa.text(find), {"table": table}).scalars().all()
    sequence = bind.execute(sa.text("SELECT pg_get_serial_sequence(:table, 'id')"), {"table": table}).scalar_one()
    op.execute(f"ALTER TABLE {table} RENAME TO {whole}")
    op.execute(
        f"CREATE TABLE {table} (LIKE {whole} INCLUDING DEFAULTS INCLUDING COMPRESSION) PARTITION BY RANGE ({key})"
    )
    op.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
    op.execute(f"INSERT INTO {table} SELECT * FROM {whole}")
    if sequence is not None:
        op.execute(f"ALTER SEQUENCE {sequence} OWNED BY {table}.id")
    op.execute(f"DROP TABLE {whole}")
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT pk_{table} PRIMARY KEY ({primary})")
    for index in indexes:
        op.execute(index)
    if table == "messages":
        op.create_index("ix_messages_conversation_id", table, ["conversation_id", "seq"])


def downgrade() -> None:
    """All of it stays as it is: what is below works with it, too."""
