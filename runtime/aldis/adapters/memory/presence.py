"""The connection registry of one process: a dictionary, so a look-up costs one access a user.

A node's lease cannot run out here, because node and registry live and die together; `forget` takes it away by hand.
"""

from collections.abc import Mapping, Sequence

from aldis.domain.ids import UserId


class MemoryPresence:
    """Which users are connected to the nodes of this process."""

    def __init__(self) -> None:
        self._nodes: dict[UserId, tuple[str, ...]] = {}
        self._forgotten: set[str] = set()

    async def register(self, node: str, users: Sequence[UserId]) -> None:
        """Say that `users` have a connection on `node`."""
        only = (node,)  # shared by all users that are on one node, which is nearly all of them
        for user in users:
            nodes = self._nodes.get(user)
            if nodes is None:
                self._nodes[user] = only
            elif node not in nodes:
                self._nodes[user] = (*nodes, node)

    async def withdraw(self, node: str, users: Sequence[UserId]) -> None:
        """Say that `users` have none there any more."""
        for user in users:
            self._remove(node, user)

    async def nodes_of(self, users: Sequence[UserId]) -> Mapping[UserId, Sequence[str]]:
        """The nodes of each user that is connected; the others are left out."""
        known = self._nodes
        return {user: known[user] for user in users if user in known}

    async def renew(self, node: str) -> bool:
        """Keep `node`'s lease; False once after it was forgotten."""
        if node in self._forgotten:
            self._forgotten.remove(node)
            return False
        return True

    def forget(self, node: str) -> None:
        """Take a node's lease and all its users away, as a flushed or restarted registry would."""
        self._forgotten.add(node)
        for user in [user for user, nodes in self._nodes.items() if node in nodes]:
            self._remove(node, user)

    def _remove(self, node: str, user: UserId) -> None:
        left = tuple(other for other in self._nodes.get(user, ()) if other != node)
        if left:
            self._nodes[user] = left
        else:
            self._nodes.pop(user, None)
