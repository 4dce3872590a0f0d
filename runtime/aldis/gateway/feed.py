"""Bring one connection up to date from the store: after connecting, after a jump, and while its reader is slow.

Express first at every page, and never more written than the reader has room for: what waits, waits in the store.
"""

import asyncio
from collections.abc import Sequence

from aldis.domain.errors import Unavailable
from aldis.domain.streams import LANES, Event, Source
from aldis.gateway.close_codes import CloseCode
from aldis.gateway.connection import STANDARD_ROOM, Connection
from aldis.gateway.frames import MAX_EVENTS, events_frame, split_events
from aldis.gateway.protocol import HIGH_WATER, text_frame
from aldis.ports.store import Want

STALLED = 30.0  # seconds without a byte drained after which a reader is given up
AGAIN = 1.0  # seconds until the store is asked again when it did not answer
SLOW_PAGE = 50  # entries read at a time for a reader that has shown to be slow


async def feed(connection: Connection, *, delay: float = 0.0) -> None:
    """Write all that is behind, then leave the connection live. The caller has set `feeding`."""
    slow = False
    try:
        if delay:
            await asyncio.sleep(delay)
        while not connection.closed and connection.behind:
            if not connection.protocol.writable.is_set():
                slow = True
                if not await _drained(connection):
                    return
                continue  # something urgent may have come while it drained
            await _feed_page(connection, connection.behind[0], SLOW_PAGE if slow else MAX_EVENTS)
    finally:
        connection.fed()


async def _drained(connection: Connection) -> bool:
    """Wait until the reader has room; False when nothing has moved for too long."""
    context, protocol = connection.context, connection.protocol
    with context.metrics.slow_readers.track_inprogress():
        while not connection.closed:
            unsent = protocol.unsent
            try:
                async with asyncio.timeout(STALLED):
                    await protocol.writable.wait()
            except TimeoutError:
                if protocol.unsent >= unsent:
                    connection.close(CloseCode.SLOW_CONSUMER)
                    return False
            else:
                return not connection.closed
    return False


async def _feed_page(connection: Connection, source: Source, limit: int) -> None:
    assert connection.user is not None
    context = connection.context
    target = connection.rung[source]
    try:
        page = await context.reader.page(Want(connection.user, source, connection.written[source], limit))
    except Unavailable:
        await asyncio.sleep(AGAIN)
        return
    if _has_hole(connection, source, page):
        # Retention has taken what this connection still had to read: it must come back and be told so.
        connection.close(CloseCode.STATE_LOST)
        return
    if not page:
        # Rung for and not there: in `r` a newer version has replaced it, and so says its own ring; a broadcast is not
        # for this user. What was rung since the page was asked for may be in neither.
        connection.written[source] = max(connection.written[source], target)
        return
    for part in split_events([event for event in page if event.pos > connection.written[source]]):
        room = STANDARD_ROOM if source == "e" else HIGH_WATER
        if connection.protocol.unsent > room:
            return  # the rest of the page is read again when there is room
        if part[0].pos <= connection.written[source]:
            return  # live frames have overtaken this page
        connection.write_events(source, part, text_frame(events_frame(source, part)))


def _has_hole(connection: Connection, source: Source, page: Sequence[Event]) -> bool:
    """Whether a gapless source goes on higher than right after what was written."""
    if source not in LANES or connection.rung[source] <= connection.written[source]:
        return False  # live frames have caught up meanwhile, or jumps are allowed
    return not page or page[0].pos > connection.written[source] + 1
