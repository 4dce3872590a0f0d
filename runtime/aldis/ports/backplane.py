"""The backplane: the doorbell between gateways. Lossy by contract; positions repair what it loses or repeats.

Guarantees: batches of one user and source rung by one process arrive in order or not at all; between processes in any
order. `ring` never waits for a reader: what a slow node cannot hold is dropped and counted.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from aldis.domain.ids import UserId
from aldis.domain.streams import Batch, Broadcast
from aldis.ports.connections import ConnectionView


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


class Replaced(NamedTuple):
    """A device of this user's has connected anew: connections of it whose ids are lower have to go."""

    user: UserId
    device: str
    connection: str


class ChannelsChanged(NamedTuple):
    """Channels were declared, changed or deleted. Lost, it is found by looking, seconds later."""


class Question(NamedTuple):
    """Which connections are there? `node` is to be answered with a `Roll`; None stands for all."""

    id: str
    node: str
    user: str | None
    connection: str | None
    after: str
    limit: int


class Roll(NamedTuple):
    """A node's answer: how many of its connections fit in all, and up to `limit` of those above `after`."""

    question: str
    node: str
    total: int
    views: tuple[ConnectionView, ...]


PersonalRing = Batch | Knock | Disconnect | Whisper | Sighting | Parting | Replaced  # for one user
CommonRing = Broadcast | ChannelsChanged  # for every node
Ring = PersonalRing | CommonRing | Question | Roll


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
