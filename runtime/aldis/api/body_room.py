"""Room for the bodies of batches: however many come, and however slowly, they hold a bounded part of the memory.

A body takes room as it streams in, and keeps it until the batch is answered.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from aldis.domain.errors import Rejected, Unavailable

ROOM_BYTES = 64 * 1024 * 1024  # eight batches of the largest size
SHARE_BYTES = ROOM_BYTES // 4  # of one caller
BODY_SECONDS = 30.0  # for a body to come: room is not for those who hold it


class BodyRoom:
    """Bytes of bodies in memory, in all and of each caller."""

    def __init__(self, *, room: int = ROOM_BYTES, share: int = SHARE_BYTES, seconds: float = BODY_SECONDS) -> None:
        self._room = room
        self._share = share
        self._seconds = seconds
        self._taken: Counter[str] = Counter()

    @asynccontextmanager
    async def read(self, caller: str, stream: AsyncIterator[bytes]) -> AsyncGenerator[bytearray]:
        """The body, in memory while the block is open. Raises `Rejected` or `Unavailable` when it has no room."""
        body = bytearray()
        try:
            try:
                async with asyncio.timeout(self._seconds):
                    async for piece in stream:
                        self._taken[caller] += len(piece)
                        body += piece
                        self._check(caller)
            except TimeoutError:
                raise Rejected("bad_request", f"the body did not come within {self._seconds:g} s") from None
            yield body
        finally:
            self._give_back(caller, len(body))

    def _check(self, caller: str) -> None:
        if self._taken[caller] > self._share:
            raise Rejected("rate_limited", "too many batches of yours are on their way", retry_after_ms=1000)
        if self._taken.total() > self._room:
            raise Unavailable("too many batches are on their way", retry_after_ms=1000)

    def _give_back(self, caller: str, size: int) -> None:
        self._taken[caller] -= size
        if not self._taken[caller]:
            del self._taken[caller]
