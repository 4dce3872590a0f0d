"""Sending connections away because somebody has asked for it."""

from collections.abc import Sequence

from aldis.gateway.close_codes import CloseCode
from aldis.gateway.connection import Connection
from aldis.ports.backplane import Disconnect


def disconnect(ring: Disconnect, connections: Sequence[Connection]) -> None:
    """Close the connection that is meant, or all of the user's."""
    for connection in tuple(connections):
        if ring.connection in {None, connection.connection_id}:
            connection.close(CloseCode(ring.code), reason=ring.reason)
