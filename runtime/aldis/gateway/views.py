"""A connection as administrators see it."""

from aldis.gateway.connection import Connection
from aldis.gateway.protocol import HubProtocol
from aldis.ports.connections import ConnectionView


def view_of(connection: Connection) -> ConnectionView:
    """What is known of it now."""
    outlet = connection.protocol
    is_socket = isinstance(outlet, HubProtocol)
    peer = outlet.transport.get_extra_info("peername") if isinstance(outlet, HubProtocol) else None
    return ConnectionView(
        id=connection.connection_id,
        user=connection.user or "",
        device=connection.device,
        platform=connection.platform,
        since_ms=connection.opened_at,
        node=connection.context.node,
        transport="websocket" if is_socket else "http",
        address=str(peer[0]) if isinstance(peer, tuple) and peer else None,
        unsent_bytes=outlet.unsent,
    )
