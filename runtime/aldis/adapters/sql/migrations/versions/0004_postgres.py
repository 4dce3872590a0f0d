"""What only PostgreSQL has: text in the order of its bytes, and room in rows that change often."""

from alembic import op
from sqlalchemy import inspect, types

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_CHANGING = ("conversations", "members", "stream_heads", "devices", "rings", "scheduled")
_SHORT_LIVED = ("outbox", "idempotency_keys")


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    inspector = inspect(op.get_bind())
    for table in inspector.get_table_names():
        words = [column["name"] for column in inspector.get_columns(table) if isinstance(column["type"], types.Text)]
        changes = ", ".join(f'ALTER COLUMN "{name}" TYPE text COLLATE "C"' for name in words)
        if words and table != "alembic_version":
            op.execute(f'ALTER TABLE "{table}" {changes}')
    for table in _CHANGING:
        op.execute(f"ALTER TABLE {table} SET (fillfactor = 80)")
    for table in (*_CHANGING, *_SHORT_LIVED):
        op.execute(f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.02)")


def downgrade() -> None:
    """What text is compared by stays as it is: it harms nobody."""
