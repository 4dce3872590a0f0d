"""The life of one connection: reading, sending and acknowledging side by side, until one way or another it ends."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aldis_client.connection import Connection
from aldis_client.ending import ConnectionEnded, Ending
from aldis_client.errors import OrderViolation
from aldis_client.events import BadFrame
from aldis_client.receiver import Receiver
from aldis_client.sender import Sender
from aldis_client.stats import Stats

Pump = Callable[[Connection], Awaitable[None]]


async def run_session(connection: Connection, *, receiver: Receiver, sender: Sender, stats: Stats) -> Ending:
    """Work until the connection ends, and say how. What a store or a callback raises comes out in a group."""
    async with asyncio.TaskGroup() as group:
        pumps = [
            group.create_task(_until_ended(sender.pump, connection), name="aldis-client-sends"),
            group.create_task(_until_ended(receiver.pump_acks, connection), name="aldis-client-acks"),
        ]
        try:
            return await _read(connection, receiver=receiver, sender=sender, stats=stats)
        finally:
            for pump in pumps:
                pump.cancel()


async def _read(connection: Connection, *, receiver: Receiver, sender: Sender, stats: Stats) -> Ending:
    try:
        return await receiver.read(connection, lambda: connection.awaits_reply or len(sender) > 0)
    except ConnectionEnded as ended:
        return ended.ending
    except OrderViolation as jump:
        return Ending(reason=str(jump))
    except BadFrame as error:
        stats.bad_frames += 1
        return Ending(reason=str(error))


async def _until_ended(pump: Pump, connection: Connection) -> None:
    """Let a pump stop in silence: the reader learns of the end too, and tells it."""
    with suppress(ConnectionEnded):
        await pump(connection)
