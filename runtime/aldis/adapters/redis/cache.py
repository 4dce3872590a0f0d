"""The cache in Redis: shared by all processes, so what one invalidates is gone for all.

While Redis is away nothing is found. What could not be invalidated then is remembered and never believed here, until it
has been removed or must have died of age.
"""

import time

from aldis.adapters.redis.link import RedisLink
from aldis.domain.errors import Unavailable

LONGEST_TTL = 3600.0  # seconds; a value may leave earlier than it must
OWED_KEYS = 10_000  # invalidations that are remembered; with more, nothing is believed for the longest ttl


class RedisCache:
    """Keys and values with an age."""

    def __init__(self, link: RedisLink, *, owed_keys: int = OWED_KEYS) -> None:
        self._link = link
        self._owed_keys = owed_keys
        self._owed: set[str] = set()  # to be removed before anything is read
        self._blind_until = 0.0  # by the monotonic clock

    async def get(self, key: str) -> bytes | None:
        """The value, or None."""
        try:
            await self._settle()
            (value,) = await self._link.run([("GET", self._name(key))])
        except Unavailable:
            return None
        is_blind = time.monotonic() < self._blind_until
        return value if isinstance(value, bytes) and not is_blind and key not in self._owed else None

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        """Keep a value for at most `ttl` seconds, and never longer than `LONGEST_TTL`."""
        ms = int(min(ttl, LONGEST_TTL) * 1000) - 1  # for Redis a key is there to the end of its last millisecond
        if ms <= 0:
            await self.invalidate(key)
            return
        try:
            await self._settle()
            await self._link.run([("SET", self._name(key), value, "PX", ms)])
        except Unavailable:
            self._owe(key)  # the value that is there is older than this one

    async def invalidate(self, key: str) -> None:
        """Forget a value."""
        try:
            await self._settle()
            await self._link.run([("DEL", self._name(key))])
        except Unavailable:
            self._owe(key)

    def _name(self, key: str) -> str:
        return self._link.keyspace.spread("cache", key)

    def _owe(self, key: str) -> None:
        if len(self._owed) >= self._owed_keys:
            self._owed.clear()
            self._blind_until = time.monotonic() + LONGEST_TTL
        self._owed.add(key)

    async def _settle(self) -> None:
        """Remove what could not be removed before."""
        if self._owed:
            owed = list(self._owed)
            for group in self._link.keyspace.together([self._name(key) for key in owed], len(owed)):
                await self._link.run([("DEL", *group)])
            self._owed.difference_update(owed)
