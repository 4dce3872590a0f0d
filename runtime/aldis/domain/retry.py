"""When to ring again: exponential backoff with full jitter, as data and pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Ring after `initial_ms`, then up to `factor` times longer each time, at most `max_ms`, `max_attempts` in all."""

    initial_ms: int = 5_000
    factor: float = 2.0
    max_ms: int = 600_000
    max_attempts: int = 8

    def is_used_up(self, attempt: int) -> bool:
        """Whether the `attempt`-th ring (from 1) was the last."""
        return attempt >= self.max_attempts

    def delay_ms(self, attempt: int, jitter: float) -> int:
        """The wait after the `attempt`-th ring; `jitter` is random in [0, 1).

        Full jitter (Brooker, "Exponential Backoff And Jitter", 2015), with a tenth as its least, so that a ring is
        never repeated at once. The last ring has as long to be answered as the message had before the first.
        """
        if self.is_used_up(attempt):
            return self.initial_ms
        ceiling = min(float(self.max_ms), self.initial_ms * self.factor ** (attempt - 1))
        return int(ceiling * (0.1 + 0.9 * jitter))


DEFAULT_RETRY = RetryPolicy()
RetryPolicies = Mapping[str, RetryPolicy]  # of the channels that do not ring as all others do
