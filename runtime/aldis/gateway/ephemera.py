"""Typing and presence on their way out: news without a position, which nobody repeats, and the first to be shed.

They are never written to a socket that has more than a little unsent: there a message would have to wait behind them.
"""

from typing import Literal

from aldis.gateway.connection import Connection
from aldis.gateway.protocol import text_frame
from aldis.telemetry.metrics import Metrics

ROOM = 4 * 1024  # bytes unsent beyond which a connection gets none of it

Type = Literal["typing", "presence"]


def ephemeral_frame(news: bytes) -> bytes:
    """A frame of one piece of news, ready for any transport."""
    return text_frame(b'{"ephemeral":[%b]}' % news)


class EphemeralWriter:
    """Writes frames where there is room, and counts."""

    def __init__(self, *, metrics: Metrics) -> None:
        types: tuple[Type, ...] = ("typing", "presence")
        self._sent = {type_: metrics.ephemeral.labels(type=type_, outcome="sent") for type_ in types}
        self._shed = {type_: metrics.ephemeral.labels(type=type_, outcome="shed") for type_ in types}

    def offer(self, connection: Connection, type_: Type, frame: bytes) -> bool:
        """Write a frame, or do without; False when it was shed."""
        if connection.closed or not connection.attached or connection.protocol.unsent > ROOM:
            self._shed[type_].inc()
            return False
        connection.protocol.write_frame(frame)
        self._sent[type_].inc()
        return True
