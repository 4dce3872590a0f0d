"""The data folder: served by one process at a time, and open to the command line beside it."""

import fcntl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from aldis.adapters.memory.clock import SystemClock
from aldis.adapters.sql.schema_state import SchemaState
from aldis.adapters.sql.store import SqlStore, open_sql_store
from aldis.settings import Settings

LOCK_FILE = "lock"  # in the data folder


class DataDirLocked(Exception):
    """Another process serves this data folder."""


def lock(descriptor: int, data_dir: Path) -> None:
    """Take the folder for this process. Raises `DataDirLocked`."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise DataDirLocked(f"another aldis serves the data folder {data_dir}; stop it or use --data-dir") from error


def is_served(data_dir: Path) -> bool:
    """Whether a server holds the data folder. For the moment of asking this shares the lock, and gives it back."""
    try:
        with (data_dir / LOCK_FILE).open(encoding="ascii") as lock:
            fcntl.flock(lock.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@asynccontextmanager
async def open_admin_store(settings: Settings) -> AsyncGenerator[SqlStore]:
    """The store beside a running `serve`, for the command line."""
    if settings.database_url.startswith("sqlite:"):
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # messages and secrets lie here
    async with open_sql_store(
        settings.database_url, now_ms=SystemClock().now_ms(), may_migrate=settings.database_migrate
    ) as store:
        yield store


async def migrate(settings: Settings) -> SchemaState:
    """Open the store, which brings its schema up to date, and tell what that is now."""
    async with open_admin_store(settings.model_copy(update={"database_migrate": True})) as store:
        return await store.schema_state()
