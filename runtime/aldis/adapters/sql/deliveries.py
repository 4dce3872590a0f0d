"""Deliveries: rings that are due, what was attempted, what failed and is replayed. One file a kind of row."""

from collections.abc import Sequence

from aldis.adapters.sql.connection import Executing
from aldis.adapters.sql.dead_letters import DeadLetterReads, DeadLetters
from aldis.adapters.sql.dialect import as_rows
from aldis.adapters.sql.expiries import Expiries
from aldis.adapters.sql.records import Records, read_places, read_rings
from aldis.adapters.sql.replays import ReplayReads, Replays
from aldis.adapters.sql.rings import Rings, still_open
from aldis.domain.ids import UserId
from aldis.domain.messages import Message
from aldis.ports.deliveries import Attempt, OpenRing


class Deliveries(Rings, Expiries, Records, DeadLetters, Replays):
    """The part of an open transaction."""


class DeliveryReads(DeadLetterReads, ReplayReads):
    """The part of the store."""

    async def still_open(self, rings: Sequence[OpenRing]) -> set[int]:
        """One query over the rings, each of which ends at its first open entry."""
        statement, rows = self._dialect.made(still_open), as_rows((ring.id,) for ring in rings)

        async def read(connection: Executing) -> set[int]:
            return {identifier for (identifier,) in await connection.execute(statement, rows)}

        return await self._read(read)

    async def attempts(self, message: Message, users: Sequence[UserId]) -> dict[UserId, list[Attempt]]:
        """The records at each place of the message."""

        async def read(connection: Executing) -> dict[UserId, list[Attempt]]:
            places = await read_places(connection, message, users)
            return {user: await read_rings(connection, message, user, at) for user, at in places.items()}

        return await self._read(read)
