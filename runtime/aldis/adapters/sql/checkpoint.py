"""Checkpoints of SQLite's write-ahead log, beside the writer instead of inside its commits.

Left to SQLite, one commit in some hundred copies the log back into the database and takes a tenth of a second with it.
A passive checkpoint on a reader's connection keeps nobody waiting; only when the log has grown large is it started anew
between two transactions, when next to nothing is left to be copied.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from aldis.adapters.sql.connection import in_thread
from aldis.adapters.sql.dialect import BUSY_MS
from aldis.telemetry.tasks import cancel_and_wait, spawn

EVERY_SECONDS = 1.0
RESTART_PAGES = 16_384  # 64 MiB of log
REWRITTEN_PAGES = 16_384  # 64 MiB, about half a second
TRUNCATE_MS = 100  # how long readers are waited for while nobody may write

log = structlog.get_logger(__name__)


@asynccontextmanager
async def checkpointing(
    reader: Engine, threads: Executor, alone: Callable[[], AbstractAsyncContextManager[None]]
) -> AsyncGenerator[None]:
    """Keep the log short while the block is open; `alone` holds transactions off."""
    task = spawn(_repeat(reader, threads, alone), "sql-checkpoint")
    try:
        yield
    finally:
        await cancel_and_wait(task)


async def _repeat(reader: Engine, threads: Executor, alone: Callable[[], AbstractAsyncContextManager[None]]) -> None:
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        try:
            pages = await in_thread(threads, lambda: checkpoint(reader, "PASSIVE"))
            if pages > RESTART_PAGES:
                async with alone():
                    await in_thread(threads, lambda: checkpoint(reader, "RESTART"))
        except SQLAlchemyError as error:
            log.warning("checkpoint_failed", reason=type(error).__name__)


def rewrite(reader: Engine) -> None:
    """Write a small database anew, page by page.

    `secure_delete` overwrites what is deleted, but not what SQLite has moved to another page when it balanced its
    tree: now and then a copy of a row stays behind there. Holding writers off while gigabytes are written is worse.
    """
    with reader.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        if pages <= REWRITTEN_PAGES:
            connection.exec_driver_sql("VACUUM")


def truncate(reader: Engine) -> bool:
    """Copy all of the log into the database and empty its file; False when a reader still needs some of it."""
    with reader.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={TRUNCATE_MS}")
        try:
            busy, _pages, _done = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={BUSY_MS}")
        return not busy


def checkpoint(reader: Engine, how: str) -> int:
    """Run a checkpoint; answer how many pages the log holds."""
    with reader.connect() as connection:
        _busy, pages, _done = connection.exec_driver_sql(f"PRAGMA wal_checkpoint({how})").one()
        return int(pages)
