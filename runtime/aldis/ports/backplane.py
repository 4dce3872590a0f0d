"""The backplane: the doorbell between gateways. Lossy by contract; positions repair what it loses or repeats.

Guarantees: batches of one user and source rung by one process arrive in order or not at all; between processes in any
order. `ring` never waits for a reader: what a slow node cannot hold is dropped and counted.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from aldis.domain.ids import UserId
from aldis.domain.streams import Batch, Broadcast


class Knock(NamedTuple):
    """A ring without content: look into the store for this user."""

    user: UserId


class Disconnect(NamedTuple):
    """Close a connection of this user, or all of them when none is named. Lost, it must be asked for again."""

    user: UserId
    connection: str | None
    code: int
    reason: str | None = None


class Whisper(NamedTuple):
    """Ephemeral news for a user's connections: `body` is its JSON. Nobody repeats it when it is lost."""

    user: UserId
    body: bytes


class Sighting(NamedTuple):
    """A user has connected somewhere, or has left a node (and may be on another): for those who watch him."""

    user: UserId
    online: bool


class Parting(NamedTuple):
    """Whether `user` and `other` have blocked each other has changed: nothing known of it holds any more."""

    user: UserId
    other: UserId


PersonalRing = Batch | Knock | Disconnect | Whisper | Sighting | Parting  # for one user
Ring = PersonalRing | Broadcast


class Backplane(Protocol):
    """Node-to-node fan-out."""

    async def ring(self, rings: Mapping[str, Sequence[Ring]]) -> None:
        """Send rings to nodes, by node name; an unknown node is ignored."""
        ...

    async def ring_all(self, rings: Sequence[Ring]) -> None:
        """Send rings to every node, whoever is connected there."""
        ...

    def listen(self, node: str, on_ring: Callable[[Sequence[Ring]], None]) -> AbstractAsyncContextManager[None]:
        """Call `on_ring` with what is rung for `node` while the block is open."""
        ...
