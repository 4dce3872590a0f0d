"""Partitions made ahead and dropped when they have aged, beside everybody's work: each in a short transaction.

Whoever else waits for a table waits behind us, so we do not wait for long; what could not be had now is had next time.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

import structlog
from sqlalchemy import text

from aldis.adapters.sql.connection import Executing
from aldis.adapters.sql.partitions import PARTS, aged, drop, forget_strays, make, missing
from aldis.ports.store import Contention

LOCK_MS = 500  # for a table that all write to
TURN = 0x616C646974  # the number of the lock that whoever keeps the tables holds

log = structlog.get_logger(__name__)
Begin = Callable[[], AbstractAsyncContextManager[Executing]]


async def keep_partitions(begin: Begin, now_ms: int, before_ms: Mapping[str, int]) -> int:
    """Make what is missing, drop what holds nothing younger than `before_ms` says of its table; in how many steps."""
    async with begin() as connection:
        found = [(parent, name) for parent, name in await connection.execute(text(PARTS))]
    steps = [make(of, start) for of, start in missing((name for _, name in found), now_ms)]
    for table, before in before_ms.items():
        steps += [[drop(name)] for name in aged(found, table, before)]
        steps += [[forget_strays(table, before)]]
    done = 0
    for statements in steps:
        done += await _do(begin, statements)
    return done


async def _do(begin: Begin, statements: list[str]) -> int:
    try:
        async with begin() as connection:
            await connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_MS}"))
            if not (await connection.execute(text(f"SELECT pg_try_advisory_xact_lock({TURN})"))).scalar_one():
                return 0  # somebody else is at it
            for statement in statements:
                await connection.execute(text(statement))
    except Contention:
        log.info("partition_postponed", statement=statements[-1])
        return 0
    return 1
