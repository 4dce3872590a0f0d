"""The connection registry of one process: a dictionary, so a look-up costs one access a user.

A node's lease cannot run out here, because node and registry live and die together; `forget` takes it away by hand.
"""

from collections.abc import Mapping, Sequence

from aldis.domain.ids import UserId


class MemoryPresence:
    """Which users are connected to the nodes of this process."""

    def __init__(self) -> None:
        self._nodes: dict[UserId, tuple[str, ...]] = {}
        self._watching: dict[UserId, tuple[str, ...]] = {}
        self._leased: set[str] = set()
        self._forgotten: set[str] = set()

    async def register(self, node: str, users: Sequence[UserId]) -> None:
        """Say that `users` have a connection on `node`."""
        self._leased.add(node)
        _add(self._nodes, node, users)

    async def withdraw(self, node: str, users: Sequence[UserId]) -> None:
        """Say that `users` have none there any more."""
        _remove(self._nodes, node, users)

    async def nodes_of(self, users: Sequence[UserId]) -> Mapping[UserId, Sequence[str]]:
        """The nodes of each user that is connected; the others are left out."""
        known = self._nodes
        return {user: known[user] for user in users if user in known}

    async def nodes(self) -> Sequence[str]:
        """All nodes that have registered anybody or renewed a lease."""
        return sorted(self._leased)

    async def watch(self, node: str, users: Sequence[UserId]) -> None:
        """Say that `node` wants to be told of `users`."""
        _add(self._watching, node, users)

    async def unwatch(self, node: str, users: Sequence[UserId]) -> None:
        """Say that it no longer does."""
        _remove(self._watching, node, users)

    async def watching(self, users: Sequence[UserId]) -> Mapping[UserId, Sequence[str]]:
        """The nodes that watch each user."""
        known = self._watching
        return {user: known[user] for user in users if user in known}

    async def renew(self, node: str) -> bool:
        """Keep `node`'s lease; False once after it was forgotten."""
        if node in self._forgotten:
            self._forgotten.remove(node)
            return False
        self._leased.add(node)
        return True

    def forget(self, node: str) -> None:
        """Take a node's lease and all its users away, as a flushed or restarted registry would."""
        self._forgotten.add(node)
        self._leased.discard(node)
        for known in (self._nodes, self._watching):
            _remove(known, node, [user for user, nodes in known.items() if node in nodes])


def _add(known: dict[UserId, tuple[str, ...]], node: str, users: Sequence[UserId]) -> None:
    only = (node,)  # shared by all users that are on one node, which is nearly all of them
    for user in users:
        nodes = known.get(user)
        if nodes is None:
            known[user] = only
        elif node not in nodes:
            known[user] = (*nodes, node)


def _remove(known: dict[UserId, tuple[str, ...]], node: str, users: Sequence[UserId]) -> None:
    for user in users:
        left = tuple(other for other in known.get(user, ()) if other != node)
        if left:
            known[user] = left
        else:
            known.pop(user, None)
