"""Broadcasts on one gateway: one position a source, and who of those connected here hears which channel.

A broadcast is framed once and its bytes are written to each transport. It is handed on only if it is the next one, and
only if the audience is known as of the moment it was committed; else what is missing is read first. So a connection is
given all it hears in order, whatever happens to doorbells, and nobody who subscribed before a broadcast is left out.

Where a channel hides its past, not all who listen may hear of an edit: there each connection reads what is its own.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import structlog

from aldis.domain.errors import Unavailable
from aldis.domain.ids import UserId
from aldis.domain.streams import BROADCASTS, Broadcast, BroadcastEvent, BroadcastSource
from aldis.gateway.connection import Connection
from aldis.gateway.frames import events_frame, split_events
from aldis.gateway.protocol import text_frame
from aldis.ports.broadcasts import EVERYONE, AudienceChange, LoggedBroadcast
from aldis.ports.clock import Clock
from aldis.ports.store import Store
from aldis.services.render import is_revision, message_event, message_json
from aldis.telemetry.metrics import Metrics
from aldis.telemetry.tasks import spawn

PAGE = 200  # entries, or changes of audiences, read at once
AGAIN_SECONDS = 1.0  # until the store is asked again when it did not answer

log = structlog.get_logger(__name__)


class Broadcaster:
    """Hands broadcasts to the connections of a hub. `start` comes before the first connection."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        everyone: Callable[[], Collection[Connection]],
        of_user: Callable[[UserId], Sequence[Connection]],
        feed_soon: Callable[[Connection, str], None],
        hides_past: Callable[[str], bool],
    ) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._everyone = everyone
        self._of_user = of_user
        self._feed_soon = feed_soon
        self._hides_past = hides_past
        self._position: dict[BroadcastSource, int] = dict.fromkeys(BROADCASTS, 0)
        self._rung: dict[BroadcastSource, int] = dict.fromkeys(BROADCASTS, 0)
        self._audience = 0  # the number of the last change of audiences that is in the index
        self._listening: dict[str, set[Connection]] = {}
        self._is_catching_up = False
        self._written = {source: metrics.events_delivered.labels(source=source) for source in BROADCASTS}

    async def start(self) -> None:
        """Begin at the heads: those who connect read what lies below from the store."""
        heads, self._audience = await self._store.broadcast_positions()
        for source in BROADCASTS:
            self._position[source] = self._rung[source] = heads[source].seq

    # -- who hears what -----------------------------------------------------------------------------------------

    async def admit(self, connection: Connection) -> None:
        """Look up what a connection's user hears. It is with the hub already, so changes meanwhile find it."""
        assert connection.user is not None
        found = await self._store.subscribed([connection.user])
        channels = {interval.channel for interval in found.get(connection.user, ())}
        for channel, hears in (connection.audience_changes or {}).items():
            (channels.add if hears else channels.discard)(channel)
        connection.audience_changes = None
        if connection.closed:
            return
        self._join(connection, channels)
        for source in BROADCASTS:  # what was handed on before it joined is to be read
            connection.rung[source] = max(connection.rung[source], self._position[source])

    def dismiss(self, connection: Connection) -> None:
        """Forget a connection."""
        for channel in connection.channels:
            self._leave(connection, channel)
        connection.channels = frozenset()

    def _join(self, connection: Connection, channels: Collection[str]) -> None:
        for channel in channels:
            self._listening.setdefault(channel, set()).add(connection)
        connection.channels = frozenset(channels)

    def _leave(self, connection: Connection, channel: str) -> None:
        listening = self._listening.get(channel)
        if listening is not None:
            listening.discard(connection)
            if not listening:
                del self._listening[channel]

    async def _follow_audience(self, number: int) -> None:
        """Take the changes up to `number` into the index."""
        while self._audience < number:
            changes = await self._store.audience_changes(self._audience, PAGE)
            for change in changes:
                for connection in self._of_user(change.user):
                    self._change(connection, change)
            # A page that is not full holds all there was when it was read, and that includes `number`.
            self._audience = (
                changes[-1].number if len(changes) == PAGE else max(number, *(c.number for c in changes), 0)
            )

    def _change(self, connection: Connection, change: AudienceChange) -> None:
        if change.until_be is not None and change.until_bs is not None:
            # All up to there is committed, and still to be heard: it is read, whoever hears the channel now.
            connection.rung["be"] = max(connection.rung["be"], change.until_be)
            connection.rung["bs"] = max(connection.rung["bs"], change.until_bs)
            self._feed_soon(connection, "broadcast")
        hears = change.until_be is None
        if connection.audience_changes is not None:
            connection.audience_changes[change.channel] = hears  # its first look-up is under way
        elif hears:
            self._join(connection, connection.channels | {change.channel})
        else:
            self._leave(connection, change.channel)
            connection.channels -= {change.channel}

    # -- what is rung -------------------------------------------------------------------------------------------

    def on_broadcast(self, broadcast: Broadcast) -> None:
        """Hand on what is rung, or have what is missing read first."""
        source, events = broadcast.source, broadcast.events
        self._rung[source] = max(self._rung[source], events[-1].pos)
        fresh = [event for event in events if event.pos > self._position[source]]
        if not fresh or self._is_catching_up:
            return
        if fresh[0].pos != self._position[source] + 1 or any(event.audience > self._audience for event in fresh):
            self._catch_up_soon()
            return
        if broadcast.at:
            self._metrics.delivery_seconds.observe(max(0, self._clock.now_ms() - broadcast.at) / 1000)
        self._hand_on(source, fresh)

    async def heal(self) -> None:
        """Compare the store's heads with what was handed on."""
        heads, _ = await self._store.broadcast_positions()
        for source in BROADCASTS:
            self._rung[source] = max(self._rung[source], heads[source].seq)
        self._catch_up_soon()

    def _catch_up_soon(self) -> None:
        if not self._is_catching_up and any(self._rung[s] > self._position[s] for s in BROADCASTS):
            self._is_catching_up = True
            _ = spawn(self._catch_up(), "broadcast-catch-up")

    async def _catch_up(self) -> None:
        """Read on from the store until nothing is missing, express first at every page."""
        try:
            while (source := self._behind()) is not None:
                try:
                    await self._read_page(source)
                except Unavailable as error:
                    log.warning("broadcast_read_failed", reason=error.message)
                    await self._clock.sleep(AGAIN_SECONDS)
        finally:
            self._is_catching_up = False

    def _behind(self) -> BroadcastSource | None:
        return next((source for source in BROADCASTS if self._rung[source] > self._position[source]), None)

    async def _read_page(self, source: BroadcastSource) -> None:
        log_page = await self._store.broadcast_log(source, self._position[source], PAGE)
        if not log_page:
            self._position[source] = self._rung[source]  # retention has taken it, and feeds will see that
            return
        await self._follow_audience(max(logged.entry.audience for logged in log_page))
        now = self._clock.now_ms()
        self._hand_on(source, [_event(logged, now) for logged in log_page])

    # -- writing ------------------------------------------------------------------------------------------------

    def _hand_on(self, source: BroadcastSource, events: Sequence[BroadcastEvent]) -> None:
        """Write events to all who hear them; each run of one channel is framed once."""
        written = 0
        for run in _runs(events):
            listeners = tuple(self._everyone() if run.everyone else self._listening.get(run.channel, ()))
            if run.revises and self._hides_past(run.channel):
                self._have_read(source, run.events[-1].pos, listeners)
                continue
            for part in split_events(run.events):
                frame = text_frame(events_frame(source, part))
                first, last = part[0].pos, part[-1].pos
                for connection in listeners:
                    if connection.offer_broadcast(source, first, last, frame):
                        written += len(part)
                    elif connection.is_behind(source):
                        self._feed_soon(connection, "broadcast")
        self._position[source] = events[-1].pos
        self._written[source].inc(written)

    def _have_read(self, source: BroadcastSource, position: int, listeners: Sequence[Connection]) -> None:
        """Let connections read from the store, which knows what each of them may hear."""
        for connection in listeners:
            connection.hear_of(source, position)
            if connection.is_behind(source):
                self._feed_soon(connection, "broadcast")


class _Run(NamedTuple):
    """Neighbours of one channel: they have one audience. `revises`: they are edits and deletions."""

    channel: str
    everyone: bool
    revises: bool
    events: list[BroadcastEvent]


def _runs(events: Sequence[BroadcastEvent]) -> Iterator[_Run]:
    for kind, run in groupby(events, lambda of: (of.channel, of.audience == EVERYONE, is_revision(of.body))):
        yield _Run(*kind, list(run))


def _event(logged: LoggedBroadcast, now_ms: int) -> BroadcastEvent:
    entry = logged.entry
    body = message_event(message_json(logged.message, now_ms), entry.type)
    return BroadcastEvent(entry.seq, body, channel=entry.channel, audience=entry.audience)
