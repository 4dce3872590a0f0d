"""Ring the gateways of those who have something new, after the commit that made it.

Senders commit first and look the registry up then; a connection registers first and reads the store then: whichever
comes second sees the other.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog

from aldis.domain.deliveries import Outcome
from aldis.domain.errors import Unavailable
from aldis.domain.ids import UserId
from aldis.ports.backplane import Backplane, CommonRing, Knock, PersonalRing, Ring, Sighting
from aldis.ports.presence import Presence

log = structlog.get_logger(__name__)


class Rings(Protocol):
    """What rings gateways."""

    async def ring(self, rings: Sequence[Ring]) -> None:
        """Send each ring to the nodes of its user."""
        ...


class Ringer:
    """Presence and backplane together. `node` is this process's own, where users are connected to it."""

    def __init__(self, *, presence: Presence, backplane: Backplane, node: str | None = None) -> None:
        self._presence = presence
        self._backplane = backplane
        self._node = node

    async def ring(self, rings: Sequence[Ring]) -> None:
        """Send each ring to the nodes of its user, broadcasts and changes of channels to all.

        A lost doorbell is healed by positions, so no failure of it reaches the caller. While presence is unknown this
        node alone is rung, which needs nobody's help.
        """
        if not rings:
            return
        common = [ring for ring in rings if isinstance(ring, CommonRing)]
        personal = [ring for ring in rings if isinstance(ring, PersonalRing)]
        try:
            if common:
                await self._backplane.ring_all(common)
            if personal:
                await self._backplane.ring(await self._by_node(personal))
        except Unavailable as error:
            log.warning("doorbell_lost", reason=error.message, rings=len(rings))

    async def _by_node(self, personal: Sequence[PersonalRing]) -> Mapping[str, Sequence[Ring]]:
        try:
            nodes = await self._presence.nodes_of([ring.user for ring in personal])
        except Unavailable:
            if self._node is None:
                raise
            return {self._node: personal}
        by_node: dict[str, list[Ring]] = {}
        for ring in personal:
            for node in nodes.get(ring.user, ()):
                by_node.setdefault(node, []).append(ring)
        return by_node

    async def knock(self, users: Sequence[UserId]) -> dict[UserId, Outcome]:
        """Have the users' gateways look into the store for them; answer what came of it for each."""
        knocks = [Knock(user) for user in users]
        try:
            nodes = await self._presence.nodes_of(users)
        except Unavailable:
            await self.ring(knocks)  # this node's users are known without the registry
            return dict.fromkeys(users, Outcome.UNKNOWN)
        by_node: dict[str, list[Ring]] = {}
        for knock in knocks:
            for node in nodes.get(knock.user, ()):
                by_node.setdefault(node, []).append(knock)
        try:
            await self._backplane.ring(by_node)
        except Unavailable as error:
            log.warning("doorbell_lost", reason=error.message, rings=len(users))
            return dict.fromkeys(users, Outcome.UNKNOWN)
        return {user: Outcome.RUNG if nodes.get(user) else Outcome.NO_CONNECTION for user in users}

    async def announce(self, sightings: Sequence[Sighting]) -> None:
        """Send each sighting to the nodes that watch its user; lost ones are found by looking again."""
        try:
            nodes = await self._presence.watching([sighting.user for sighting in sightings])
            by_node: dict[str, list[Ring]] = {}
            for sighting in sightings:
                for node in nodes.get(sighting.user, ()):
                    by_node.setdefault(node, []).append(sighting)
            await self._backplane.ring(by_node)
        except Unavailable as error:
            log.warning("doorbell_lost", reason=error.message, rings=len(sightings))
