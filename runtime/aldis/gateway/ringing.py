"""What is rung for this node, handed to whoever it is for."""

from collections.abc import Sequence

from aldis.gateway.ephemera import EphemeralWriter, ephemeral_frame
from aldis.gateway.hub import Hub
from aldis.gateway.watching import Watching
from aldis.ports.backplane import ChannelsChanged, Parting, Question, Replaced, Ring, Roll, Sighting, Whisper
from aldis.services.channel_lookup import ChannelDirectory
from aldis.services.neighbours import Neighbours
from aldis.services.typists import Typists
from aldis.telemetry.tasks import spawn

_Other = Whisper | Sighting | Parting | Replaced | ChannelsChanged | Question | Roll


class Ringing:
    """The listener of a node: events go to the hub, what is ephemeral goes where it is known."""

    def __init__(
        self,
        *,
        hub: Hub,
        typists: Typists,
        watching: Watching,
        writer: EphemeralWriter,
        channels: ChannelDirectory,
        neighbours: Neighbours,
    ) -> None:
        self._hub = hub
        self._channels = channels
        self._neighbours = neighbours
        self._typists = typists
        self._watching = watching
        self._writer = writer

    def on_ring(self, rings: Sequence[Ring]) -> None:
        """Hand rings on."""
        mine = [ring for ring in rings if not isinstance(ring, _Other)]
        if len(mine) < len(rings):  # hardly ever
            for ring in rings:
                if isinstance(ring, _Other):
                    self._hand_on(ring)
        self._hub.on_ring(mine)

    def _hand_on(self, ring: _Other) -> None:
        match ring:
            case Whisper():
                frame = ephemeral_frame(ring.body)
                for connection in self._hub.of(ring.user):
                    self._writer.offer(connection, "typing", frame)
            case Sighting():
                self._watching.on_sighting(ring)
            case Parting():
                self._typists.part(ring.user, ring.other)
                self._watching.part(ring.user, ring.other)
            case Replaced():
                self._hub.replace(ring)
            case ChannelsChanged():
                _ = spawn(self._channels.follow(), "channels-changed")
            case Question():
                self._neighbours.on_question(ring)
            case Roll():
                self._neighbours.on_roll(ring)
