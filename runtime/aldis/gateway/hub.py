"""The hub: all connections of this process, and the seconds' work on them.

It hands what is rung to the connections of each user, framed once for all of them; asks for signs of life; closes what
has expired; compares the store's heads with what was written, so that a lost doorbell is healed within `HEAL_SECONDS`.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from aldis.domain.errors import Rejected, Unavailable
from aldis.domain.ids import UserId
from aldis.domain.streams import SOURCES, Batch, Broadcast, Source
from aldis.gateway.broadcaster import Broadcaster
from aldis.gateway.close_codes import CloseCode
from aldis.gateway.connection import Connection
from aldis.gateway.disconnect import disconnect
from aldis.gateway.feed import feed
from aldis.gateway.frames import batch_frames
from aldis.gateway.protocol import text_frame
from aldis.gateway.registration import Registration
from aldis.ports.backplane import Disconnect, PersonalRing, Replaced
from aldis.ports.clock import Clock
from aldis.ports.presence import Presence
from aldis.ports.store import Store
from aldis.services.moves import MoveCommitter
from aldis.telemetry.metrics import Metrics
from aldis.telemetry.tasks import cancel_and_wait, spawn

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

GAP_WAIT = 0.02  # seconds that a jump may be only a race between two committers
TICKS = 10  # a second: its work is spread, so that no message waits behind thousands of pings
HEAL_SECONDS = 4  # each user's heads are compared once in as many
HEAL_USERS = 500  # in one query
NOTE_SECONDS = 0.5  # how long notes of what was sent are gathered
GRACE_MS = 15_000  # how late a sign of life may be
PING = text_frame(b'{"ping":{}}')

log = structlog.get_logger(__name__)


class Hub:
    """Connections by user. Run its work with `running()`."""

    def __init__(
        self,
        *,
        node: str,
        store: Store,
        moves: MoveCommitter,
        presence: Presence,
        clock: Clock,
        metrics: Metrics,
        ping_interval: float,
        connections_per_user: int,
        hides_past: Callable[[str], bool] = lambda _channel: True,
    ) -> None:
        self._store = store
        self._moves = moves
        self._clock = clock
        self._metrics = metrics
        self._ping_ms = int(ping_interval * 1000)
        self._wheel: list[set[Connection]] = [set() for _ in range(max(1, int(ping_interval * TICKS)))]
        self._per_user = connections_per_user
        self._by_user: dict[UserId, list[Connection]] = {}
        self._all: dict[Connection, None] = {}  # in the order in which they came
        self.broadcaster = Broadcaster(
            store=store,
            clock=clock,
            metrics=metrics,
            everyone=lambda: self._all,
            of_user=lambda user: self._by_user.get(user, ()),
            feed_soon=self.feed_soon,
            hides_past=hides_past,
        )
        self._expiring: dict[int, set[Connection]] = {}
        self._noted: list[Connection] = []
        self.registration = Registration(node=node, presence=presence, here=self._by_user.keys())
        self._delivered = {source: metrics.events_delivered.labels(source=source) for source in SOURCES}
        self._acked = {source: metrics.events_acked.labels(source=source) for source in SOURCES}
        self._tick = 0
        self._to_heal: list[UserId] = []
        self.beaten_at = clock.now_ms()
        self.ended = 0  # connections that were here and have gone
        self.on_left: Callable[[Sequence[UserId]], None] = lambda _users: None  # told once they are withdrawn

    # -- who is here --------------------------------------------------------------------------------------------

    def add(self, connection: Connection) -> None:
        """Take a connection in; one of the same device is replaced. Raises `Rejected("connection_limit")`."""
        assert connection.user is not None
        own = self._by_user.get(connection.user, [])
        twin = next((c for c in own if connection.device is not None and c.device == connection.device), None)
        if twin is not None:
            twin.close(CloseCode.REPLACED)
        elif len(own) >= self._per_user:
            raise Rejected("connection_limit", f"a user has at most {self._per_user} connections")
        self._by_user.setdefault(connection.user, []).append(connection)
        self._all[connection] = None
        self._slot_of(connection).add(connection)
        self.expire_later(connection)
        self._metrics.connections.inc()

    def replace(self, ring: Replaced) -> None:
        """Close connections of a device that has connected again at another gateway."""
        for connection in tuple(self.of(ring.user)):
            if connection.device == ring.device and connection.connection_id < ring.connection:
                connection.close(CloseCode.REPLACED)

    def remove(self, connection: Connection) -> None:
        """Forget a connection; safe to call again."""
        own = self._by_user.get(connection.user, []) if connection.user is not None else []
        if connection not in own:
            return
        self._note(connection)
        own.remove(connection)
        self._all.pop(connection, None)
        self.broadcaster.dismiss(connection)
        self._slot_of(connection).discard(connection)
        self._expiring.get(connection.expires_at, set()).discard(connection)
        self._metrics.connections.dec()
        self.ended += 1
        if not own and connection.user is not None:
            del self._by_user[connection.user]
            self.registration.left_nowait(connection.user)

    def _slot_of(self, connection: Connection) -> set[Connection]:
        """The tick at which it is asked for a sign of life."""
        return self._wheel[hash(connection) // 16 % len(self._wheel)]

    def expire_later(self, connection: Connection) -> None:
        """Close it when its token ends."""
        self._expiring.setdefault(connection.expires_at, set()).add(connection)

    def of(self, user: UserId) -> Sequence[Connection]:
        """A user's connections."""
        return self._by_user.get(user, ())

    def connections(self) -> list[Connection]:
        """All of them."""
        return list(self._all)

    # -- what is rung -------------------------------------------------------------------------------------------

    def on_ring(self, rings: Sequence[PersonalRing | Broadcast]) -> None:
        """Hand rings to the users' connections."""
        knocked: list[UserId] = []
        for ring in rings:
            if isinstance(ring, Broadcast):
                self.broadcaster.on_broadcast(ring)
                continue
            connections = self._by_user.get(ring.user)
            if not connections:
                continue
            if isinstance(ring, Batch):
                self._deliver(ring, connections)
            elif isinstance(ring, Disconnect):
                disconnect(ring, connections)
            else:
                knocked.append(ring.user)
        if knocked:
            _ = spawn(self._answer_knock(knocked), "hub-knock")

    def _deliver(self, batch: Batch, connections: Sequence[Connection]) -> None:
        if batch.at:
            self._metrics.delivery_seconds.observe(max(0, self._clock.now_ms() - batch.at) / 1000)
        for events, payload in batch_frames(batch):
            frame = text_frame(payload)
            for connection in tuple(connections):
                if not connection.offer(batch.source, events, frame):
                    self.feed_soon(connection, "gap")

    def feed_soon(self, connection: Connection, reason: str) -> None:
        """Have a connection brought up to date, unless that is under way."""
        if connection.feeding or connection.closed or not connection.attached:
            return
        connection.feeding = True
        slow = not connection.protocol.writable.is_set()
        self._metrics.gap_reads.labels(reason="slow" if slow else reason).inc()
        _ = spawn(feed_now(connection, delay=0.0 if slow else GAP_WAIT), "feed")

    # -- what is counted ----------------------------------------------------------------------------------------

    def note_sent(self, connection: Connection) -> None:
        """Remember to note what was sent there."""
        self._noted.append(connection)

    def count_delivered(self, source: Source, events: int) -> None:
        """Count entries written."""
        self._delivered[source].inc(events)

    def count_acked(self, positions: Mapping[Source, int]) -> None:
        """Count acknowledgements by source."""
        for source in positions:
            self._acked[source].inc()

    def observe_send(self, seconds: float) -> None:
        """Count an answered send."""
        self._metrics.send_seconds.observe(seconds)

    def _note(self, connection: Connection) -> None:
        for sent in connection.take_sent(self._clock.now_ms()):
            self._moves.sent_nowait(sent)

    # -- the seconds' work --------------------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self) -> "AsyncGenerator[None]":
        """Do the seconds' work while the block is open."""
        await self.broadcaster.start()
        tasks = [spawn(self._beats(), "hub-beats"), spawn(self._notes(), "hub-notes")]
        try:
            yield
        finally:
            await cancel_and_wait(*tasks)
            self._flush_notes()

    async def _notes(self) -> None:
        while True:
            await self._clock.sleep(NOTE_SECONDS)
            self._flush_notes()

    def _flush_notes(self) -> None:
        noted, self._noted = self._noted, []
        for connection in noted:
            self._note(connection)

    async def _beats(self) -> None:
        while True:
            due = self.beaten_at + 1000 // TICKS
            await self._clock.sleep(max(0, due - self._clock.now_ms()) / 1000)
            self.beaten_at = self._clock.now_ms()
            self._metrics.event_loop_lag_seconds.set(max(0, self.beaten_at - due) / 1000)
            self._tick += 1
            self._ask_for_life()
            try:
                await self._heal_slice()
                if self._tick % TICKS == 0:
                    self._expire()
                    await self._keep_registered()
            except Unavailable as error:
                log.warning("heal_failed", reason=error.message)

    def _expire(self) -> None:
        now = self._clock.now_ms() // 1000
        for second in [second for second in self._expiring if second <= now]:
            for connection in self._expiring.pop(second):
                if connection.expires_at <= now:
                    connection.close(CloseCode.TOKEN)

    def _ask_for_life(self) -> None:
        now = self._clock.now_ms()
        for connection in tuple(self._wheel[self._tick % len(self._wheel)]):
            if connection.pinged and now - connection.heard_at > self._ping_ms + GRACE_MS:
                connection.close(CloseCode.NO_PONG)
            elif connection.attached and connection.protocol.writable.is_set():
                connection.pinged = True
                connection.protocol.write_frame(PING)

    async def _keep_registered(self) -> None:
        gone = await self.registration.keep()
        if gone:
            self.on_left(gone)

    async def _heal_slice(self) -> None:
        """Heal so many users that all have had their turn within `HEAL_SECONDS`."""
        rounds = HEAL_SECONDS * TICKS
        if self._tick % rounds == 0:
            self._to_heal = list(self._by_user)
            await self.broadcaster.heal()
        size = -(-len(self._to_heal) // (rounds - self._tick % rounds))
        users, self._to_heal = self._to_heal[:size], self._to_heal[size:]
        for start in range(0, len(users), HEAL_USERS):
            await self._heal(users[start : start + HEAL_USERS])

    async def _answer_knock(self, users: Sequence[UserId]) -> None:
        try:
            await self._heal(users)
        except Unavailable as error:
            log.warning("heal_failed", reason=error.message)

    async def _heal(self, users: Iterable[UserId]) -> None:
        """Compare the store's heads with what was written."""
        for (user, source), head in (await self._store.heads(list(users))).items():
            for connection in self._by_user.get(user, ()):
                if head.seq > connection.written[source] and connection.attached:
                    connection.rung[source] = max(connection.rung[source], head.seq)
                    self.feed_soon(connection, "heal")

    # -- leaving ------------------------------------------------------------------------------------------------

    async def drain(self, seconds: float) -> None:
        """Let the connections go over a period, each told when to come back, so that nobody is stampeded."""
        waiting = self.connections()
        loop = asyncio.get_running_loop()
        started = loop.time()
        for position, connection in enumerate(waiting):
            due = started + seconds * position / len(waiting)
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            connection.close(CloseCode.SHUTDOWN)
        for connection in self.connections():  # whose handshake was under way when the draining began
            connection.close(CloseCode.SHUTDOWN)


async def feed_now(connection: Connection, *, delay: float = 0.0) -> None:
    """Feed a connection whose `feeding` is set, and once more if something came at the last moment."""
    await feed(connection, delay=delay)
    if connection.behind and not connection.closed:
        connection.context.hub.feed_soon(connection, "gap")
