"""Look a channel up, remembering it for a moment: policy may be stale by `MAX_AGE` seconds, never by more."""

from aldis.domain.channels import Channel
from aldis.ports.clock import Clock
from aldis.ports.store import Store

MAX_AGE = 5.0
MOST = 10_000  # channels remembered


class ChannelLookupCache:
    """Channels by name."""

    def __init__(self, *, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[str, tuple[int, Channel]] = {}

    async def channel(self, name: str) -> Channel | None:
        """The channel; one that is not there is looked for again each time."""
        now = self._clock.now_ms()
        known = self._known.get(name)
        if known is not None and now - known[0] < MAX_AGE * 1000:
            return known[1]
        channel = await self._store.channel(name)
        if channel is not None:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[name] = (now, channel)
        return channel

    def forget(self, name: str) -> None:
        """Look for it again: this process has just changed it."""
        self._known.pop(name, None)
