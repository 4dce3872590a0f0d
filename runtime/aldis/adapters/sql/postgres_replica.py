"""Reads from a replica that miss nothing: only once it has replayed all that the primary had committed at the call.

Who reads is not asked, nor what he wrote and through which process: each read first asks the primary how far its log
has been written, which is next to nothing, and then has the replica do the work. One that is behind is waited for a
few milliseconds; then the primary does it, and the replica is left alone for a while. Where no primary answers, what
the replica has is better than nothing.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from aldis.adapters.sql.postgres_connection import Record
from aldis.adapters.sql.postgres_errors import DRIVER_ERRORS, is_moved
from aldis.adapters.sql.postgres_pool import PostgresPool
from aldis.domain.errors import Unavailable

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

BEHIND_SECONDS = 0.02  # that a replica is waited for: a reader notices no more
LOOK_SECONDS = 0.002
ANSWER_SECONDS = 2.0  # that the primary is waited for
REST_SECONDS = 1.0  # for which one that was behind, or did not answer, is left alone

_WRITTEN = "SELECT pg_current_wal_flush_lsn()::text"
_HAS_REPLAYED = "SELECT pg_is_in_recovery() AND pg_last_wal_replay_lsn() >= $1::text::pg_lsn"

log = structlog.get_logger(__name__)


class Behind(Exception):
    """The replica cannot be used now."""


class PostgresReplica:
    """A pool of connections to replicas, and the primary's own for asking how far it is."""

    def __init__(self, *, replica: PostgresPool, primary: PostgresPool) -> None:
        self._replica = replica
        self._primary = primary
        self._rests_until = 0.0
        self.reads = 0  # that a replica has served

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator["PoolConnectionProxy[Record]"]:
        """A connection to a replica that has all. Raises `Behind`, also for what fails on it inside the block."""
        if time.monotonic() < self._rests_until:
            raise Behind
        written = await self._written()
        try:
            async with (
                self._replica.connection() as driver,
                driver.transaction(isolation="read_committed", readonly=True),
            ):
                if written is not None:
                    await self._wait(driver, written)
                self.reads += 1
                yield driver
        except (*DRIVER_ERRORS, Unavailable) as error:
            self._rest(type(error).__name__)
            if is_moved(error):
                await self._replica.renew()
            raise Behind from error

    async def _written(self) -> str | None:
        """How far the primary's log is on its disk, with all that was answered; None when no primary answers.

        One that is merely busy is waited for like any other.
        """
        try:
            async with self._primary.connection() as driver:
                written: str = await driver.fetchval(_WRITTEN, timeout=ANSWER_SECONDS)
                return written
        except Unavailable as error:
            raise Behind from error
        except DRIVER_ERRORS:
            return None

    async def _wait(self, driver: "PoolConnectionProxy[Record]", written: str) -> None:
        deadline = time.monotonic() + BEHIND_SECONDS
        while not await driver.fetchval(_HAS_REPLAYED, written):
            if time.monotonic() > deadline:
                self._rest("behind")
                raise Behind
            await asyncio.sleep(LOOK_SECONDS)

    def _rest(self, reason: str) -> None:
        log.info("replica_rests", reason=reason, seconds=REST_SECONDS)
        self._rests_until = time.monotonic() + REST_SECONDS
