"""The move committer: what was sent to, acknowledged and read by devices, grouped into few transactions.

Acknowledgements and notes of what was sent have no answer and ride along; a read waits for its unread count. What
members have newly received or read becomes state for the others, and their gateways are rung after the commit.
"""

import asyncio
from collections.abc import Mapping, Sequence

from aldis.domain.errors import AldisError
from aldis.domain.ids import ConversationId, DeviceId, UserId
from aldis.domain.streams import Source
from aldis.ports.clock import Clock
from aldis.ports.store import Store
from aldis.services.grouping import Done, Grouper
from aldis.services.retry_contention import retry_contention
from aldis.services.ring import Ringer
from aldis.services.store_moves import Ack, MoveCommand, Read, Sent, store_moves
from aldis.telemetry.metrics import Metrics

GROUP = 500  # moves in one transaction: cheap rows, but sends wait for the same writer meanwhile
WAITING = 100_000  # moves queued: an ack that finds no room is repeated by the next one
LINGER = 0.015  # seconds that moves gather: nobody waits for an ack, and each group holds up the sends behind it

Unread = tuple[int, int]


class MoveCommitter:
    """Stores moves; one instance a process.

    `announced` is set after each commit that has put moves into the outbox; without one they are not put there.
    """

    def __init__(
        self,
        *,
        store: Store,
        ringer: Ringer,
        clock: Clock,
        metrics: Metrics,
        announced: asyncio.Event | None = None,
    ) -> None:
        self._store = store
        self._ringer = ringer
        self._clock = clock
        self._announced = announced
        self._grouper: Grouper[MoveCommand, Unread | None] = Grouper(
            self._commit, name="move", most=GROUP, bound=WAITING, metrics=metrics, linger=LINGER
        )

    def ack_nowait(self, user: UserId, device: DeviceId, positions: Mapping[Source, int]) -> None:
        """Note that a device has confirmed up to these positions."""
        self._grouper.submit(Ack(user, device, dict(positions)))

    def sent_nowait(self, sent: Sent) -> None:
        """Note that entries were written to a device's socket."""
        self._grouper.submit(sent)

    def read_nowait(self, read: Read, done: Done[Unread | None]) -> None:
        """Mark a conversation read; `done` gets (unread there, badge)."""
        self._grouper.submit(read, done)

    async def acknowledge(self, user: UserId, device: DeviceId, positions: Mapping[Source, int]) -> None:
        """The same as `ack_nowait`, waiting for the commit."""
        await self._grouper.ask(Ack(user, device, dict(positions)))

    async def mark_read(
        self, user: UserId, device: DeviceId | None, conversation_id: ConversationId, seq: int
    ) -> Unread:
        """Mark a conversation read up to `seq`; answer (unread there, badge). Raises `Rejected` for a stranger."""
        unread = await self._grouper.ask(Read(user, device, conversation_id, seq))
        assert unread is not None
        return unread

    async def settle(self) -> None:
        """Wait until all that was submitted is stored."""
        await self._grouper.settle()

    async def _commit(self, group: Sequence[MoveCommand]) -> Sequence[Unread | AldisError | None]:
        announces = self._announced is not None
        answers, batches = await retry_contention(
            lambda: store_moves(group, store=self._store, now_ms=self._clock.now_ms(), announces=announces),
            clock=self._clock,
        )
        if self._announced is not None:
            self._announced.set()
        await self._ringer.ring(batches)
        return answers
