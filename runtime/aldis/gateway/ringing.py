"""What is rung for this node, handed to whoever it is for."""

from collections.abc import Sequence

from aldis.gateway.ephemera import EphemeralWriter, ephemeral_frame
from aldis.gateway.hub import Hub
from aldis.gateway.watching import Watching
from aldis.ports.backplane import Parting, Ring, Sighting, Whisper
from aldis.services.typists import Typists

_OTHERS = (Whisper, Sighting, Parting)


class Ringing:
    """The listener of a node: events go to the hub, what is ephemeral goes where it is known."""

    def __init__(self, *, hub: Hub, typists: Typists, watching: Watching, writer: EphemeralWriter) -> None:
        self._hub = hub
        self._typists = typists
        self._watching = watching
        self._writer = writer

    def on_ring(self, rings: Sequence[Ring]) -> None:
        """Hand rings on."""
        others = [ring for ring in rings if isinstance(ring, _OTHERS)]
        if not others:  # nearly always
            self._hub.on_ring(rings)
            return
        for ring in others:
            self._hand_on(ring)
        self._hub.on_ring([ring for ring in rings if not isinstance(ring, _OTHERS)])

    def _hand_on(self, ring: Whisper | Sighting | Parting) -> None:
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
