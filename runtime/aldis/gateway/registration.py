"""Keeping the registry told of who is connected here, also through times in which it does not answer.

A registry that is away keeps nobody out and nobody in: what could not be said is remembered, and said when it answers.
Until then whoever rings does not find those users, and the healing look brings them what they have missed.
"""

from collections.abc import Collection, Sequence

import structlog

from aldis.domain.errors import Unavailable
from aldis.domain.ids import UserId
from aldis.ports.presence import Presence

log = structlog.get_logger(__name__)


class Registration:
    """One node's entries. `here` are the users who have a connection now; it may change while we wait."""

    def __init__(self, *, node: str, presence: Presence, here: Collection[UserId]) -> None:
        self._node = node
        self._presence = presence
        self._here = here
        self._left: list[UserId] = []
        self._unsaid: set[UserId] = set()  # who is here and may not be registered

    async def came(self, user: UserId) -> None:
        """Register a user; when the registry is away, as soon as it is not."""
        try:
            await self._presence.register(self._node, [user])
        except Unavailable:
            self._unsaid.add(user)

    def left_nowait(self, user: UserId) -> None:
        """A user has no connection here any more; `keep` withdraws him, unless he comes back before."""
        self._left.append(user)

    async def keep(self) -> Sequence[UserId]:
        """Say what is to be said and keep the lease; those who were withdrawn. Raises `Unavailable`."""
        gone = await self._withdraw()
        if not await self._presence.renew(self._node):
            self._unsaid.update(self._here)
        await self._register()
        return [user for user in gone if user not in self._here]

    async def _withdraw(self) -> Sequence[UserId]:
        left, self._left = [user for user in self._left if user not in self._here], []
        if left:
            self._unsaid.update(left)  # whoever comes back while we withdraw him must be registered again
            try:
                await self._presence.withdraw(self._node, left)
            except Unavailable:
                self._left += left
                raise
        return left

    async def _register(self) -> None:
        unsaid, self._unsaid = self._unsaid, set()
        users = [user for user in unsaid if user in self._here]
        try:
            if users:
                await self._presence.register(self._node, users)
        except Unavailable:
            self._unsaid.update(users)
            raise
