"""Which revision a database's schema has, and which programs can use it.

Two tables of one row say so. `schema_revision` is moved by each migration. `alembic_version` has the floor: the oldest
revision whose programs can use the schema as it is now. A migration that only adds leaves the floor where it is, so a
program does not ask whether it knows the revision, but whether it knows the floor. Version 0.1.0 knows only the second
table and takes it for the revision, which comes to the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select

SCRIPTS = Path(__file__).parent / "migrations"

_tables = MetaData()  # not the schema's: these two are there before it, and in every revision of it


def _single(name: str) -> Table:
    return Table(name, _tables, Column("version_num", String(32), primary_key=True))


REVISION = _single("schema_revision")
FLOOR = _single("alembic_version")


class Standing(Enum):
    """How a database and a program stand to each other."""

    EMPTY = auto()  # no schema yet
    BEHIND = auto()  # to be migrated before it can be used
    CURRENT = auto()
    AHEAD = auto()  # a newer program has added to it; this one can use it
    UNKNOWN = auto()  # too new, or not ours


@dataclass(frozen=True, slots=True)
class SchemaState:
    """What a database says of its schema; both None when it has none."""

    revision: str | None
    floor: str | None

    @property
    def needs(self) -> str | None:
        """The revision that a program must know to use it."""
        return self.floor or self.revision

    def standing(self, known: Sequence[str]) -> Standing:
        """As a program sees it that knows these revisions, the newest first."""
        if self.revision is None:
            return Standing.EMPTY
        if self.needs not in known:
            return Standing.UNKNOWN
        if self.revision not in known:
            return Standing.AHEAD
        return Standing.CURRENT if self.revision == known[0] else Standing.BEHIND


def read_state(connection: Connection) -> SchemaState:
    """What the database says."""
    names = inspect(connection).get_table_names()
    floor = _value(connection, FLOOR) if FLOOR.name in names else None
    revision = _value(connection, REVISION) if REVISION.name in names else None
    return SchemaState(revision or floor, floor)  # before there were two tables the one was both


def _value(connection: Connection, table: Table) -> str | None:
    value: str | None = connection.execute(select(table.c.version_num)).scalar_one_or_none()
    return value


def write_single(connection: Connection, table: Table, value: str) -> None:
    """Make the table if it is not there, and let it say this."""
    table.create(connection, checkfirst=True)
    connection.execute(table.delete())
    connection.execute(table.insert(), {"version_num": value})


@cache
def known_revisions() -> tuple[str, ...]:
    """The revisions of the schema that this program knows, the newest first."""
    return tuple(script.revision for script in _scripts().walk_revisions())


@cache
def newest_floor() -> str:
    """The floor of this program's newest revision: that of the last migration that raised it."""
    known = known_revisions()
    floors = [getattr(script.module, "floor", script.revision) for script in _scripts().walk_revisions()]
    return min(floors, key=known.index)


@cache
def wanted_indexes() -> dict[str, str]:
    """What migrations want PostgreSQL to make beside its writers: statements by the indexes' names."""
    modules = [script.module for script in _scripts().walk_revisions()]
    return {name: made for module in reversed(modules) for name, made in getattr(module, "indexes", {}).items()}


def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    return ScriptDirectory.from_config(config)
