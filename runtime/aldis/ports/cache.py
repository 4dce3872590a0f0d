"""The cache: hot reads, never the truth.

Guarantees: a value is at most `ttl` old; it may vanish at any time; `invalidate` is seen by later reads of this
process at once and by others within their `ttl`. Never blocks on anything but the cache's own server.
"""

from typing import Protocol


class Cache(Protocol):
    """Keys and values with an age."""

    async def get(self, key: str) -> bytes | None:
        """The value, or None."""
        ...

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        """Keep a value for at most `ttl` seconds."""
        ...

    async def invalidate(self, key: str) -> None:
        """Forget a value."""
        ...
