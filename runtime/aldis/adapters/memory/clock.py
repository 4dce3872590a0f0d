"""The clocks: the system's, and one that is moved by hand.

`DrivenClock` makes everything that waits testable without waiting. It steps from one sleeper to the next, so that a
loop which sleeps one second wakes ten times when the clock is moved by ten.
"""

import asyncio
import math
import time

SETTLE_TURNS = 20  # turns of the event loop; a woken task that passes work on through a few others needs one for each
START_MS = 1_800_000_000_000  # 2027-01-15T08:00:00Z: any fixed moment will do, this one is easy to recognise


class SystemClock:
    """The time of the machine."""

    def now_ms(self) -> int:
        """Unix milliseconds."""
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class DrivenClock:
    """A time that stands still until it is advanced."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self._now_ms = now_ms
        self._sleepers: dict[asyncio.Future[None], int] = {}  # when each is due, in the order of falling asleep

    def now_ms(self) -> int:
        """Unix milliseconds."""
        return self._now_ms

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been moved that far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        awake = asyncio.get_running_loop().create_future()
        self._sleepers[awake] = self._now_ms + math.ceil(seconds * 1000)
        try:
            await awake
        finally:
            self._sleepers.pop(awake, None)

    async def advance(self, seconds: float) -> None:
        """Move on; wake each sleeper at its time, the earliest first, and let it run before the next."""
        end = self._now_ms + round(seconds * 1000)
        await _settle()
        while (due := min(self._sleepers.values(), default=end + 1)) <= end:
            self._now_ms = max(self._now_ms, due)
            self._wake(due)
            await _settle()
        self._now_ms = max(self._now_ms, end)

    @property
    def sleeping(self) -> int:
        """How many wait, for tests that must know that someone does."""
        return len(self._sleepers)

    def _wake(self, due: int) -> None:
        for awake in [sleeper for sleeper, at in self._sleepers.items() if at == due]:
            del self._sleepers[awake]
            if not awake.done():
                awake.set_result(None)


async def _settle() -> None:
    for _ in range(SETTLE_TURNS):
        await asyncio.sleep(0)
