"""Presence: which users are connected, to which nodes, and which nodes want to be told.

Guarantees: a registration that returned before a look-up began is in its answer until it is withdrawn or its node's
lease has gone. It may name nodes that the user has just left. `Unavailable` means unknown, which is not offline. The
same holds for watches: they are a node's, and go with its lease.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from aldis.domain.ids import UserId


class Presence(Protocol):
    """The connection registry."""

    async def register(self, node: str, users: Sequence[UserId]) -> None:
        """Say that `users` have a connection on `node`."""
        ...

    async def withdraw(self, node: str, users: Sequence[UserId]) -> None:
        """Say that `users` have none there any more."""
        ...

    async def nodes_of(self, users: Sequence[UserId]) -> Mapping[UserId, Sequence[str]]:
        """The nodes of each user that is connected; the others are left out."""
        ...

    async def nodes(self) -> Sequence[str]:
        """All nodes that have a lease, whoever is connected there."""
        ...

    async def watch(self, node: str, users: Sequence[UserId]) -> None:
        """Say that `node` wants to be told of these users' coming and going; safe to repeat."""
        ...

    async def unwatch(self, node: str, users: Sequence[UserId]) -> None:
        """Say that it no longer does."""
        ...

    async def watching(self, users: Sequence[UserId]) -> Mapping[UserId, Sequence[str]]:
        """The nodes that watch each user; users whom nobody watches are left out."""
        ...

    async def renew(self, node: str) -> bool:
        """Keep `node`'s lease; False when it was gone and all its users and watches must be registered again."""
        ...
