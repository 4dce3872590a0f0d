"""The limiter of one process: GCRA, which keeps one number a key.

That number is the time at which the key's bucket will be full again (the "theoretical arrival time" of ITU-T I.371).
Times are whole nanoseconds and the time a token takes is rounded up, so the promised bound holds exactly.
"""

import math
from collections import OrderedDict
from fractions import Fraction
from functools import lru_cache

from aldis.ports.clock import Clock
from aldis.ports.limiter import Rate

NS_PER_SECOND = 1_000_000_000
NS_PER_MS = 1_000_000
SWEEP_KEYS = 2  # looked at for each new key: more than one, so that idle keys leave faster than new ones come


class MemoryLimiter:
    """One bucket a key. A key whose bucket is full again is forgotten, which changes nothing for it."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._full_at: OrderedDict[str, int] = OrderedDict()  # nanoseconds; ordered for the sweep only

    def take(self, key: str, rate: Rate, cost: int = 1) -> int:
        """Take `cost` tokens: 0 when they were there, else the wait in ms; ValueError for more than `burst` at once."""
        if cost > rate.burst:
            raise ValueError(f"{cost} tokens can never be taken from a burst of {rate.burst}: take them in parts")
        now = self._clock.now_ms() * NS_PER_MS
        token = _token_ns(rate.per_second)
        room = now + rate.burst * token
        full_at = self._full_at_of(key, now, room) + cost * token
        if full_at > room:
            return -((room - full_at) // NS_PER_MS)  # rounded up
        if key not in self._full_at:
            self._sweep(now)
        self._full_at[key] = full_at
        return 0

    def remaining(self, key: str, rate: Rate) -> int:
        """How many tokens could be taken now."""
        now = self._clock.now_ms() * NS_PER_MS
        token = _token_ns(rate.per_second)
        room = now + rate.burst * token
        return (room - self._full_at_of(key, now, room)) // token

    def wait(self, key: str, rate: Rate) -> int:
        """The ms until another token is there than those that could be taken now."""
        now = self._clock.now_ms() * NS_PER_MS
        token = _token_ns(rate.per_second)
        room = now + rate.burst * token
        left = (room - self._full_at_of(key, now, room)) % token
        return -((left - token) // NS_PER_MS)

    def __len__(self) -> int:
        """How many keys it remembers."""
        return len(self._full_at)

    def _full_at_of(self, key: str, now: int, room: int) -> int:
        """When the bucket is full; a corrected clock or a lowered rate never blocks for longer than an empty one."""
        return min(max(self._full_at.get(key, now), now), room)

    def _sweep(self, now: int) -> None:
        """Look at the next few keys in turn, forget those that are idle."""
        for _ in range(min(SWEEP_KEYS, len(self._full_at))):
            key, full_at = self._full_at.popitem(last=False)
            if full_at > now:
                self._full_at[key] = full_at


@lru_cache(maxsize=1024)  # there are as many rates as the policy names
def _token_ns(per_second: float) -> int:
    """The nanoseconds in which one token grows, rounded up."""
    return math.ceil(NS_PER_SECOND / Fraction(per_second))
