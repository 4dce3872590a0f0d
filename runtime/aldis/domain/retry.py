"""When to ring again: exponential backoff with full jitter, as data and one pure function."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Ring after `initial_ms`, then up to `factor` times longer each time, at most `max_ms`, `max_attempts` in all."""

    initial_ms: int = 5_000
    factor: float = 2.0
    max_ms: int = 600_000
    max_attempts: int = 8

    def delay_ms(self, attempt: int, jitter: float) -> int | None:
        """The wait after the `attempt`-th ring (from 1), None when it was the last; `jitter` is random in [0, 1).

        Full jitter (Brooker, "Exponential Backoff And Jitter", 2015), with a tenth as its least, so that a ring is
        never repeated at once.
        """
        if attempt >= self.max_attempts:
            return None
        ceiling = min(float(self.max_ms), self.initial_ms * self.factor ** (attempt - 1))
        return int(ceiling * (0.1 + 0.9 * jitter))
