"""How long to wait before trying again: exponential, with full jitter, never less than the server asked for."""

import random
from collections.abc import Callable
from dataclasses import dataclass

Uniform = Callable[[float, float], float]
"""A number drawn evenly between two others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """A policy: attempt n waits between 0 and `base_seconds * 2**n`, at most `cap_seconds`."""

    base_seconds: float = 0.5
    cap_seconds: float = 30.0

    def ceiling(self, attempt: int) -> float:
        """The longest wait of an attempt, counted from 0; seconds."""
        return min(self.cap_seconds, self.base_seconds * 2.0 ** min(attempt, 60))

    def delay(self, attempt: int, *, floor_seconds: float = 0.0, uniform: Uniform = random.uniform) -> float:
        """Seconds to wait. The jitter comes on top of the floor, so that those told the same time still spread."""
        return floor_seconds + uniform(0.0, self.ceiling(attempt))


RECONNECT = Backoff(base_seconds=0.5, cap_seconds=30.0)
"""Between connections."""
REPEAT = Backoff(base_seconds=0.2, cap_seconds=30.0)
"""Between repeats of a command that the server put off."""
