"""Run a transaction again when it lost against another: it changed nothing, so nothing is done twice."""

import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aldis.ports.clock import Clock
from aldis.ports.store import Contention

TRIES = 5
FIRST_WAIT = 0.02  # seconds at most before the second try; doubled for each that follows

T = TypeVar("T")


async def retry_contention(work: Callable[[], Awaitable[T]], *, clock: Clock) -> T:
    """What `work` answers; raises its `Contention` when it has lost `TRIES` times."""
    for attempt in range(TRIES - 1):
        try:
            return await work()
        except Contention:
            await clock.sleep(random.uniform(0.5, 1.0) * FIRST_WAIT * 2**attempt)  # noqa: S311 - spreads retries
    return await work()
