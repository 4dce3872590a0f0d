"""One socket's state: who is behind it, what has been written to it, and what it may be given next.

For each source it keeps the position it has written. An event is written only if it is the next one; lower ones are
dropped; after a jump, and whenever the reader is slow, the feed goes on from the store. So an acknowledgement never
covers an event that was not written before it.
"""

import asyncio
import random
from collections.abc import Sequence

import structlog

from aldis.domain.cursors import Cursor, Positions
from aldis.domain.errors import Rejected, Unavailable
from aldis.domain.ids import DeviceId, UserId
from aldis.domain.streams import LANES, SOURCES, BroadcastSource, Event, Source
from aldis.gateway.close_codes import REASONS, CloseCode
from aldis.gateway.context import GatewayContext
from aldis.gateway.frames import disconnect_frame, error_frame
from aldis.gateway.outlet import Outlet
from aldis.gateway.protocol import text_frame
from aldis.services.store_moves import Sent

STANDARD_ROOM = 64 * 1024  # bytes unsent beyond which all but express waits in the store
EXPRESS_ROOM = 1024 * 1024  # bytes unsent beyond which even express cannot be held any longer
COME_BACK_MS = 3_000  # the longest wait asked of a client that is sent away

log = structlog.get_logger(__name__)


class Connection:
    """A socket, from its first frame to its last. All methods run on the event loop and none blocks."""

    __slots__ = (
        "attached",
        "audience_changes",
        "channels",
        "closed",
        "connection_id",
        "context",
        "device",
        "expires_at",
        "feeding",
        "header_token",
        "heard_at",
        "opened_at",
        "pinged",
        "platform",
        "protocol",
        "rung",
        "sent_from",
        "unanswered",
        "user",
        "written",
    )

    def __init__(self, protocol: Outlet, context: GatewayContext, header_token: str | None) -> None:
        self.protocol = protocol
        self.context = context
        self.header_token = header_token
        self.connection_id = ""
        self.user: UserId | None = None
        self.device: DeviceId | None = None
        self.platform = "unknown"
        self.attached = False  # whether `written` is known, and with it what may be written
        self.channels: frozenset[str] = frozenset()  # the broadcast channels its user has subscribed to
        self.audience_changes: dict[str, bool] | None = {}  # those that came before `channels` was known
        self.closed = False
        self.feeding = False  # whether a feed is bringing this connection up to date
        self.pinged = False  # whether a sign of life was asked for and has not come
        self.expires_at = 0
        self.opened_at = context.clock.now_ms()
        self.heard_at = self.opened_at
        self.unanswered = 0
        self.written: dict[Source, int] = dict.fromkeys(SOURCES, 0)
        self.rung: dict[Source, int] = dict.fromkeys(SOURCES, 0)  # the highest position known to exist
        self.sent_from: dict[Source, int] = {}  # where the next note of what was sent begins

    # -- writing ------------------------------------------------------------------------------------------------

    def write(self, payload: bytes) -> None:
        """Write a reply or news that carries no position."""
        self.protocol.write_frame(text_frame(payload))

    def write_error(self, command_id: int | None, error: Rejected | Unavailable) -> None:
        """Answer a command, or say what was wrong with a frame."""
        self.context.metrics.rejected.labels(code=error.code).inc()
        self.write(error_frame(command_id, error))

    def attach(self, start: Positions, head: Positions) -> None:
        """From here on events above `start` may be written; up to `head` they are there to be read."""
        for source in SOURCES:
            self.written[source] = start.at(source)
            self.rung[source] = max(self.rung[source], head.at(source))
        self.attached = True

    def offer(self, source: Source, events: Sequence[Event], frame: bytes) -> bool:
        """Write a live frame if it is the next one and there is room; False when the feed must see to it."""
        first, last = events[0].pos, events[-1].pos
        if last <= self.written[source]:
            return True
        self.rung[source] = max(self.rung[source], last)
        if not self.attached or first != self.written[source] + 1 or not self.has_room(source):
            return False
        self.write_events(source, events, frame)
        return True

    def offer_broadcast(self, source: BroadcastSource, first: int, last: int, frame: bytes) -> bool:
        """Write a live broadcast if nothing that this user hears lies before it and there is room.

        What was handed on before was written, or is told by `rung`: so there are no jumps but over what others hear.
        """
        written = self.written[source]
        if last <= written:
            return False
        is_current = self.attached and self.rung[source] <= written < first
        self.rung[source] = max(self.rung[source], last)
        if not is_current or not self.has_room("e" if source == "be" else "s") or self.closed:
            return False
        if not self.protocol.is_open:
            return False
        self.protocol.transport.write(frame)
        self.written[source] = last
        return True

    def fed(self) -> None:
        """A feed has ended: nothing that was known of is still to be written, or nothing can be now."""
        self.feeding = False

    def hear_of(self, source: Source, position: int) -> None:
        """There is something up to `position` that is to be read from the store."""
        self.rung[source] = max(self.rung[source], position)

    def is_behind(self, source: Source) -> bool:
        """Whether there is something of `source` to be read from the store."""
        return self.rung[source] > self.written[source]

    def has_room(self, source: Source) -> bool:
        """Whether an event of `source` may be written now; closes a reader that cannot even take express."""
        unsent = self.protocol.unsent
        if source != "e":
            return unsent < STANDARD_ROOM
        if unsent > EXPRESS_ROOM:
            self.close(CloseCode.SLOW_CONSUMER)
            return False
        return True

    def write_events(self, source: Source, events: Sequence[Event], frame: bytes) -> None:
        """Write a frame of events that follow what was written (in `r` and broadcasts with jumps)."""
        if self.closed or not self.protocol.is_open:
            return
        self.protocol.transport.write(frame)
        is_unnoted = self.device is not None and source in LANES and source not in self.sent_from
        if is_unnoted and not all(event.own for event in events):  # one's own message coming back is no delivery
            self.sent_from[source] = self.written[source]
            self.context.hub.note_sent(self)
        self.written[source] = events[-1].pos
        self.context.hub.count_delivered(source, len(events))

    def take_sent(self, now_ms: int) -> list[Sent]:
        """The notes of what was sent since the last time, at most one a source."""
        if self.user is None or self.device is None:
            return []
        notes = [
            Sent(self.user, self.device, source, low, self.written[source], now_ms)
            for source, low in self.sent_from.items()
        ]
        self.sent_from.clear()
        return notes

    @property
    def behind(self) -> list[Source]:
        """The sources with something to be read, in the order in which they are to be written."""
        order: tuple[Source, ...] = ("e", "be", "r", "s", "bs")
        return [source for source in order if self.rung[source] > self.written[source]]

    @property
    def cursor(self) -> str:
        """Where this connection now is."""
        return str(Cursor(self.context.epoch, Positions(**self.written)))

    # -- ending -------------------------------------------------------------------------------------------------

    def close(self, code: CloseCode, *, after_ms: int | None = None, reason: str | None = None) -> None:
        """Say why, in the code's own words or in others, and close."""
        if self.closed:
            return
        self.closed = True
        self.context.metrics.connections_closed.labels(code=str(int(code))).inc()
        self.context.hub.remove(self)
        wait = after_ms if after_ms is not None else random.randrange(COME_BACK_MS)  # noqa: S311 - spreads clients
        words = reason or REASONS[code]
        self.write(disconnect_frame(code, words, reconnect=code.reconnect, after_ms=wait if code.reconnect else 0))
        self.protocol.close_with(code, words)
        if code is CloseCode.SLOW_CONSUMER:
            # What it has not read for so long it will not read now: free the memory.
            asyncio.get_running_loop().call_later(1, self.protocol.transport.abort)

    def lost(self) -> None:
        """The socket has ended by itself."""
        if not self.closed:
            self.closed = True
            self.context.metrics.connections_closed.labels(code="none").inc()
            self.context.hub.remove(self)
