"""The token bank of one process, which several limiters in it can share; for tests, and the twin of the real ones."""

from aldis.adapters.memory.limiter import MemoryLimiter
from aldis.ports.clock import Clock
from aldis.ports.limiter import Rate
from aldis.ports.token_bank import Lease


class MemoryTokenBank:
    """Buckets by key."""

    def __init__(self, *, clock: Clock) -> None:
        self._buckets = MemoryLimiter(clock=clock)

    async def lease(self, key: str, rate: Rate, tokens: int) -> Lease:
        """Take what is there, up to `tokens`."""
        granted = min(tokens, self._buckets.remaining(key, rate))
        if granted > 0:
            self._buckets.take(key, rate, granted)
        return Lease(granted, 0 if granted == tokens else self._buckets.wait(key, rate))
