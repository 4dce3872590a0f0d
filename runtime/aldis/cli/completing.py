"""What a shell completes by a look into the database: within a key press, so it imports next to nothing.

The settings take too long to be read here: the two variables that say where the database is are looked at as they are.
"""

import os
from pathlib import Path

import typer

from aldis.adapters.sql.peek import read_channel_names

SQLITE = "sqlite:///"


def complete_channel(ctx: typer.Context, incomplete: str) -> list[str]:
    """The channels whose names begin like that; none where there is no database."""
    path = find_database(ctx.params.get("data_dir"))
    names = read_channel_names(path) if path is not None else []
    return [name for name in names if name.startswith(incomplete)]


def find_database(data_dir: Path | None) -> Path | None:
    """The database's file as the settings would say, unless they read it from another file."""
    url = os.environ.get("ALDIS_DATABASE_URL")
    if url:
        return Path(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else None
    return Path(data_dir or os.environ.get("ALDIS_DATA_DIR") or "data") / "aldis.db"
