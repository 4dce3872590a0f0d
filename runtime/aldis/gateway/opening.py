"""Opening a connection, whatever carries it: register first, read the store then, go live last.

Whoever sends meanwhile is heard either way: a sender commits first and looks the registry up then.
"""

from aldis.domain.devices import Attachment
from aldis.gateway.answers import Welcome, WelcomeLimits
from aldis.gateway.connection import Connection
from aldis.services.connect_device import ConnectDevice


async def open_connection(connection: Connection, wanted: ConnectDevice) -> Attachment:
    """Where the device starts to read. Raises `Rejected` or `Unavailable`; the connection is not attached yet."""
    context = connection.context
    context.hub.add(connection)
    await context.hub.registration.came(wanted.user)
    await context.neighbours.came(
        wanted.user, wanted.device, connection.connection_id, context.limits.connections_per_user
    )
    attachment = await context.connector.connect(wanted)
    await context.hub.broadcaster.admit(connection)
    context.watching.came(wanted.user)
    return attachment


def welcome_of(connection: Connection, attachment: Attachment) -> Welcome:
    """What an attached connection is told first."""
    limits = connection.context.limits
    return Welcome(
        connection=connection.connection_id,
        user=connection.user or "",
        cursor=connection.cursor,
        recovered=attachment.recovered,
        ping_interval=limits.ping_interval,
        limits=WelcomeLimits(
            content_bytes=limits.content_bytes,
            messages_per_second=limits.user.per_second,
            burst=limits.user.burst,
            connections=limits.connections_per_user,
        ),
    )
