"""Look a channel up without waiting: all of them are in memory, and at most `MAX_AGE` seconds old.

What is not there is not looked for by `find`, which sockets use: so the order of their frames holds. `channel` reads
what it does not find, for callers that can wait.
"""

import asyncio
from types import MappingProxyType

import structlog

from aldis.domain.channels import Channel, ChatPolicies, History, chat_policies, retry_policies
from aldis.domain.errors import Unavailable
from aldis.domain.retry import RetryPolicies
from aldis.ports.clock import Clock
from aldis.ports.store import Store

MAX_AGE = 5.0

log = structlog.get_logger(__name__)


class ChannelDirectory:
    """Channels by name. Run `keep_fresh` beside it; call `follow` after a change of one's own."""

    def __init__(self, *, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._reading = asyncio.Lock()
        self._version: str | None = None
        self._known: dict[str, Channel] = {}
        self._policies: ChatPolicies = MappingProxyType({})
        self._retries: RetryPolicies = MappingProxyType({})

    def find(self, name: str) -> Channel | None:
        """The channel, if it was there at the last look."""
        return self._known.get(name)

    def hides_past(self, name: str) -> bool:
        """Whether those who join a broadcast channel later see nothing older; so it is for one that is not known."""
        channel = self._known.get(name)
        return channel is None or channel.history is History.HIDDEN

    def policies(self) -> ChatPolicies:
        """Who may chat, in the channels where not everybody may. The mapping never changes: a newer one replaces it."""
        return self._policies

    def retries(self) -> RetryPolicies:
        """How the channels ring that have a way of their own; as unchanging as the policies."""
        return self._retries

    async def channel(self, name: str) -> Channel | None:
        """The channel; one that is not known is looked for each time."""
        if name not in self._known and await self._store.channel(name) is not None:
            await self.refresh()
        return self._known.get(name)

    async def refresh(self) -> None:
        """Read all of them, if any has changed."""
        async with self._reading:  # else an earlier reading could take the place of a later one
            version = await self._store.channels_version()
            if version == self._version:
                return
            channels = await self._store.channels()
            self._known = {channel.name: channel for channel in channels}
            self._policies = chat_policies(channels)
            self._retries = retry_policies(channels)
            self._version = version  # of before: what has changed between the two reads is read again

    async def follow(self) -> None:
        """Look at once, after a change of one's own; if the database does not answer now, the next look will tell."""
        try:
            await self.refresh()
        except Unavailable as error:
            log.warning("channels_not_read", reason=error.message)

    async def keep_fresh(self) -> None:
        """Look again and again, for ever."""
        while True:
            await self._clock.sleep(MAX_AGE)
            await self.follow()
