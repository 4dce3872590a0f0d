"""Migrations: run by `aldis serve` itself and by `aldis migrate`, on a connection that is already open."""

import secrets

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, select

from aldis.adapters.sql import schema
from aldis.adapters.sql.schema_state import (
    FLOOR,
    REVISION,
    SCRIPTS,
    SchemaState,
    Standing,
    known_revisions,
    newest_floor,
    read_state,
    write_single,
)
from aldis.domain.errors import AldisError

EPOCH_BYTES = 4  # eight hexadecimal digits: enough to tell the lives of one installation apart


def migrate(connection: Connection, now_ms: int, *, may_change: bool = True) -> str:
    """Bring the schema to the newest revision and answer the installation's epoch, making it on the first run.

    What a newer program has added is left alone. Without `may_change` only an empty database gets a schema. Raises
    `AldisError` when the schema is too new for this program, or must be changed and may not.
    """
    state = read_state(connection)
    match state.standing(known_revisions()):
        case Standing.UNKNOWN:
            raise AldisError(
                f"the database is of a version that this program does not know: its schema {state.revision} is for"
                f" programs that know {state.needs}, this one knows up to {known_revisions()[0]}; see `aldis doctor`"
            )
        case Standing.BEHIND if not may_change:
            raise AldisError(
                f"the database's schema is {state.revision} and this program needs {known_revisions()[0]}:"
                " run `aldis migrate` first, or set ALDIS_DATABASE_MIGRATE=true"
            )
        case Standing.EMPTY | Standing.BEHIND:
            _upgrade(connection, state)
        case Standing.CURRENT if state.floor != newest_floor():
            _upgrade(connection, state)  # it was made before there were two tables
        case Standing.CURRENT | Standing.AHEAD:
            pass
    return _epoch(connection, now_ms)


def _upgrade(connection: Connection, state: SchemaState) -> None:
    if state.revision is not None:
        write_single(connection, REVISION, state.revision)
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes |= {"connection": connection, "version_table": REVISION.name}
    command.upgrade(config, "head")
    write_single(connection, FLOOR, newest_floor())


def _epoch(connection: Connection, now_ms: int) -> str:
    epoch: str | None = connection.execute(select(schema.installation.c.epoch)).scalar_one_or_none()
    if epoch is None:
        epoch = secrets.token_hex(EPOCH_BYTES)
        connection.execute(schema.installation.insert(), {"id": 1, "epoch": epoch, "created_at": now_ms})
    return epoch
