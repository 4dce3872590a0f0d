"""Who sends the n-th message, and when it is meant to be sent.

The load is open-loop: message n is due at n / rate whatever the server does, and every latency counts from there,
so a stall is seen by all the messages that should have been sent during it (no coordinated omission).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A steady rate over `seconds`; in each second another window of `active` pairs out of `pairs` takes turns."""

    rate: int
    seconds: int
    pairs: int
    active: int
    first_window: int = 0  # so that phases go on rotating where the one before stopped

    @property
    def total(self) -> int:
        """Return how many messages the whole phase has."""
        return self.rate * self.seconds

    def pair(self, number: int) -> int:
        """Return the pair that sends message `number`."""
        second, turn = divmod(number, self.rate)
        return ((self.first_window + second) * self.active + turn % self.active) % self.pairs

    def due(self, elapsed: float) -> int:
        """Return how many messages should have been sent `elapsed` seconds after the start."""
        return min(self.total, int(elapsed * self.rate) + 1) if elapsed >= 0 else 0
