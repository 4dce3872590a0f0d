"""Migrations: run by `aldis serve` itself and by `aldis migrate`, on a connection that is already open."""

import secrets
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, select

from aldis.adapters.sql import schema

EPOCH_BYTES = 4  # eight hexadecimal digits: enough to tell the lives of one installation apart
SCRIPTS = Path(__file__).parent / "migrations"


def migrate(connection: Connection, now_ms: int) -> str:
    """Bring the schema to the newest version and answer the installation's epoch, making it on the first run."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    epoch = connection.execute(select(schema.installation.c.epoch)).scalar_one_or_none()
    if epoch is None:
        epoch = secrets.token_hex(EPOCH_BYTES)
        connection.execute(schema.installation.insert(), {"id": 1, "epoch": epoch, "created_at": now_ms})
    return epoch
