"""What every connection of this process shares, handed in by bootstrap."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aldis.ports.clock import Clock
from aldis.ports.limiter import Limiter, Rate
from aldis.services.address_gate import AddressGate
from aldis.services.authenticate import Authenticator
from aldis.services.channel_lookup import ChannelDirectory
from aldis.services.connect_device import Connector
from aldis.services.group_commit import GroupCommitter
from aldis.services.moves import MoveCommitter
from aldis.services.neighbours import Neighbours
from aldis.services.read_streams import StreamReader
from aldis.services.typists import Typists
from aldis.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from aldis.gateway.hub import Hub
    from aldis.gateway.watching import Watching


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayLimits:
    """What a socket may use, as it is told to the client."""

    user: Rate
    content_bytes: int
    connections_per_user: int
    connections: int  # of this process
    ping_interval: float  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayContext:
    """The services and limits behind a socket."""

    node: str
    epoch: str
    hub: "Hub"
    authenticator: Authenticator
    gate: AddressGate
    connector: Connector
    committer: GroupCommitter
    moves: MoveCommitter
    reader: StreamReader
    channels: ChannelDirectory
    typists: Typists
    watching: "Watching"
    neighbours: Neighbours
    limiter: Limiter
    limits: GatewayLimits
    clock: Clock
    metrics: Metrics
