"""The cache of one process: the least recently used values leave first when it is full."""

from collections import OrderedDict

from aldis.ports.clock import Clock

CACHE_BYTES = 64 * 1024 * 1024  # keys and values together; a tenth of what a small container has
ENTRY_BYTES = 250  # what the dictionary, the tuple and the two objects' headers cost beside their content


class MemoryCache:
    """Keys and values with an age, up to `CACHE_BYTES` of them."""

    def __init__(self, *, clock: Clock, max_bytes: int = CACHE_BYTES) -> None:
        self._clock = clock
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[str, tuple[int, bytes]] = OrderedDict()  # gone at (Unix ms), value

    async def get(self, key: str) -> bytes | None:
        """The value, or None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        gone_at, value = entry
        if gone_at <= self._clock.now_ms():
            self._remove(key)
            return None
        self._entries.move_to_end(key)
        return value

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        """Keep a value for at most `ttl` seconds; one larger than the whole cache is not kept."""
        self._remove(key)
        size = _size(key, value)
        if ttl <= 0 or size > self._max_bytes:
            return
        while self._bytes + size > self._max_bytes:
            self._remove(next(iter(self._entries)))
        self._entries[key] = (self._clock.now_ms() + int(ttl * 1000), value)
        self._bytes += size

    async def invalidate(self, key: str) -> None:
        """Forget a value."""
        self._remove(key)

    def _remove(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= _size(key, entry[1])


def _size(key: str, value: bytes) -> int:
    return len(key) + len(value) + ENTRY_BYTES
