"""A version to come: today's code, and one more migration that adds columns, a table, and an index beside writers.

Run it as the version before: with the variables that `make` answers.
"""

import os
import shutil
from pathlib import Path

from aldis.adapters.sql.schema_state import SCRIPTS, known_revisions

CHECKOUT = Path(__file__).parents[1]
PATHS = ("runtime", "runtime/clients/python")
REVISION = "9000"
MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{newest}"
floor = "{floor}"
branch_labels = None
depends_on = None
indexes = {{"ix_outbox_mood": "CREATE INDEX CONCURRENTLY ix_outbox_mood ON outbox (mood)"}}


def upgrade() -> None:
    for table in ("conversations", "devices", "members", "messages", "outbox", "users"):
        op.add_column(table, sa.Column("mood", sa.Text()))
    op.create_table("moods", sa.Column("name", sa.Text(), primary_key=True), sa.Column("since", sa.BigInteger()))
    op.create_index("ix_moods_since", "moods", ["since"])


def downgrade() -> None:
    pass
"""


def make(folder: Path, *, floor: str | None = None) -> dict[str, str]:
    """Make its code in a folder; `floor` is the oldest revision whose programs it lets go on, without one today's."""
    root = folder / "following"
    shutil.copytree(CHECKOUT / "runtime", root / "runtime", ignore=shutil.ignore_patterns("__pycache__"))
    newest = known_revisions()[0]
    migrations = root / SCRIPTS.relative_to(CHECKOUT) / "versions"
    text = MIGRATION.format(revision=REVISION, newest=newest, floor=floor or newest)
    (migrations / f"{REVISION}_following.py").write_text(text, encoding="utf-8")
    return {"PYTHONPATH": os.pathsep.join(str(root / path) for path in PATHS)}
