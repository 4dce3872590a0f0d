"""What the HTTP room needs, handed in by bootstrap, and how a handler gets at it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, Protocol

import msgspec
from fastapi import Depends, Request

from aldis.api.administration import AdminDependencies
from aldis.api.body_room import BodyRoom
from aldis.domain.content import MAX_CONTENT_BYTES
from aldis.domain.ids import MAX_NAME, ConversationId, DeviceId, UserId
from aldis.domain.streams import Source
from aldis.ports.clock import Clock
from aldis.ports.http_streams import HttpStreams
from aldis.ports.limiter import Limiter, Rate
from aldis.ports.presence import Presence
from aldis.ports.store import Store
from aldis.services.address_gate import AddressGate
from aldis.services.audience import Subscriptions
from aldis.services.authenticate import Authenticator
from aldis.services.bulk_sends import BulkSends, Committer
from aldis.services.compose import ChannelLookup
from aldis.services.revise_message import Reviser
from aldis.services.ring import Ringer
from aldis.services.schedule_commit import ScheduleCommitter
from aldis.telemetry.metrics import Metrics


class Moves(Protocol):
    """Moves positions forward, in groups."""

    async def acknowledge(self, user: UserId, device: DeviceId, positions: dict[Source, int]) -> None:
        """Take a device's positions as received."""
        ...

    async def mark_read(
        self, user: UserId, device: DeviceId | None, conversation_id: ConversationId, seq: int
    ) -> tuple[int, int]:
        """Move the read mark; answer what is unread in the conversation and in all."""
        ...


class Health(Protocol):
    """What the process knows of its own state, without asking anyone."""

    @property
    def started(self) -> bool:
        """Whether it has begun to serve."""
        ...

    @property
    def draining(self) -> bool:
        """Whether it is on its way out."""
        ...

    @property
    def usable(self) -> bool:
        """Whether it can do anything for a caller."""
        ...

    def check(self) -> Mapping[str, float | None]:
        """Per dependency the seconds since it last answered well, None when it never has."""
        ...


class Rates(NamedTuple):
    """How fast each kind of caller may send."""

    user: Rate
    key: Rate


class OpenConnection(NamedTuple):
    """A connection as the front page shows it; `since_ms` is Unix milliseconds."""

    user: str
    device: str | None
    platform: str
    since_ms: int


BATCH_PATH = "/v1/messages:batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """What one request may bring."""

    content_bytes: int = MAX_CONTENT_BYTES
    recipients: int = 1_000
    batch_bytes: int = 8 * 1024 * 1024  # of a batch: a thousand messages of 8 KiB
    batch_recipients: int = 10_000  # of all its messages together

    @property
    def body_bytes(self) -> int:
        """Room for such a content with every character escaped to six, such recipients, and the rest."""
        return 6 * self.content_bytes + self.recipients * (MAX_NAME + 4) + 8 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiDependencies:
    """All of it.

    `connections` is None where one process does not know them all: there the page shows none. Without a `gate` clients
    are not limited by their address.
    """

    store: Store
    committer: Committer
    bulk: BulkSends
    schedules: ScheduleCommitter
    moves: Moves
    reviser: Reviser
    subscriptions: Subscriptions
    streams: HttpStreams
    authenticator: Authenticator
    channel: ChannelLookup
    limiter: Limiter
    rates: Rates
    presence: Presence
    ringer: Ringer
    clock: Clock
    metrics: Metrics
    health: Health
    connections: Callable[[], Sequence[tuple[str, str | None, str, int]]] | None
    encoder: msgspec.json.Encoder
    limits: RequestLimits = field(default_factory=RequestLimits)
    bodies: BodyRoom = field(default_factory=BodyRoom)
    gate: AddressGate | None = None
    admin: AdminDependencies = field(default_factory=AdminDependencies)
    asyncapi: Callable[[], dict[str, Any]] = dict  # the description of the socket, where there is one


async def find_api(request: Request) -> ApiDependencies:
    """The dependencies of the application; async, because FastAPI would run it in a thread otherwise."""
    api: ApiDependencies = request.app.state.api
    return api


Api = Annotated[ApiDependencies, Depends(find_api)]
