"""One connection as it is opened, asked whether it lives, and ended, also when the other side has stopped answering."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from aio_pika import Connection
from aio_pika.abc import AbstractChannel
from aiormq.connection import TransportFactory
from yarl import URL

from aldis.adapters.rabbitmq.errors import translated
from aldis.domain.amqp_address import AmqpAddress
from aldis.domain.errors import Unavailable

OPEN_SECONDS = 5.0  # for the handshake
ANSWER_SECONDS = 5.0  # for an answer that costs the broker nothing
CLOSE_SECONDS = 3.0  # for a farewell
BLOCKED_SECONDS = 0.2  # how long a connection that the broker has blocked is waited for
HEARTBEAT_SECONDS = 10  # the driver gives a silent connection up after three; we look at it sooner


NACKS_ARE_FREE = (4, 3)  # the version from which giving back with `nack` is no failed attempt


class _Dialing(TransportFactory):
    """Opens the socket and keeps it, as the driver has no way to end one whose other side is silent."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._writer: asyncio.StreamWriter | None = None

    async def create(self, url: URL, **_: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open the socket."""
        reader, self._writer = await asyncio.open_connection(url.host, url.port, ssl=self._context)
        return reader, self._writer

    def abort(self) -> None:
        """End the socket without a word, and drop what is unsent."""
        if self._writer is not None:
            self._writer.transport.abort()


class Wire:
    """An open connection. Make it with `open_wire`."""

    def __init__(
        self, connection: Connection, dialing: _Dialing, control: AbstractChannel, on_lost: Callable[[], None]
    ) -> None:
        assert connection.transport is not None
        self.connection = connection
        self.lost = asyncio.Event()
        self.reason = "closed"
        self._transport = connection.transport
        self._dialing = dialing
        self._control = control
        self._tell_lost = on_lost
        connection.close_callbacks.add(self._on_lost)
        control.close_callbacks.add(self._on_lost)

    def _on_lost(self, _sender: object, error: BaseException | None = None) -> None:
        self.reason = type(error).__name__ if error is not None else "closed"
        self.lost.set()
        self._tell_lost()

    @property
    def version(self) -> str:
        """The broker's version."""
        return str(self._transport.connection.server_properties.get("version", ""))

    async def is_blocked(self) -> bool:
        """Whether the broker, short of memory or disk, takes nothing from this connection and goes on taking nothing.

        It says so only to those who have given it something.
        """
        try:
            async with asyncio.timeout(BLOCKED_SECONDS):
                await self._transport.ready()
        except TimeoutError:
            return True
        return False

    async def check(self) -> bool:
        """Ask for an answer; False when it is of no use to ask. Raises `Unavailable` when none comes."""
        if await self.is_blocked():
            return False
        with translated():
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._control.set_qos(prefetch_count=1)
        return True

    async def close(self) -> None:
        """Say farewell, or end it without."""
        await _close(self.connection.close(), self._dialing)

    def abort(self) -> None:
        """End it without a word."""
        self._dialing.abort()


def quiet_driver() -> None:
    """It logs each frame that it did not expect, and thereby contents; what matters of it is told by us."""
    for library in ("aio_pika", "aiormq"):
        logging.getLogger(library).setLevel(logging.CRITICAL)


async def open_wire(address: AmqpAddress, node: tuple[str, int], *, name: str, on_lost: Callable[[], None]) -> Wire:
    """Connect to a node; `on_lost` is called when the connection is lost. Raises `Unavailable`."""
    with translated():
        dialing = _Dialing(await asyncio.to_thread(_context, address) if address.is_encrypted else None)
        connection = Connection(_url(address, node), client_properties={"connection_name": name})
        connection.kwargs["transport_factory"] = dialing
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await connection.connect()
                control = await connection.channel(publisher_confirms=False)
                return Wire(connection, dialing, control, on_lost)
        except BaseException:
            await _close(connection.close(), dialing)
            raise


async def ask_version(address: AmqpAddress, node: tuple[str, int]) -> str:
    """What a node says that it is. Raises `Unavailable`."""
    wire = await open_wire(address, node, name="aldis-doctor", on_lost=lambda: None)
    try:
        return wire.version
    finally:
        await wire.close()


async def _close(closing: Awaitable[None], dialing: _Dialing) -> None:
    try:
        with suppress(Unavailable), translated():
            async with asyncio.timeout(CLOSE_SECONDS):
                await closing
    finally:
        dialing.abort()


def _context(address: AmqpAddress) -> ssl.SSLContext:
    """Made anew for each connection, so that a renewed certificate counts. It reads files: not in the event loop."""
    context = ssl.create_default_context(cafile=address.cafile)
    if address.certfile is not None:
        context.load_cert_chain(address.certfile, address.keyfile)
    return context


def _url(address: AmqpAddress, node: tuple[str, int]) -> URL:
    host, port = node
    return URL.build(
        scheme="amqps" if address.is_encrypted else "amqp",
        user=address.user,
        password=address.password,
        host=host,
        port=port,
        path=f"/{address.vhost.removeprefix('/')}",
        query={"heartbeat": HEARTBEAT_SECONDS},
    )


def is_nack_free(version: str) -> bool:
    """Whether a broker of that version counts no attempt when a delivery is given back with `nack`."""
    numbers = version.split(".")[:2]
    return all(number.isdecimal() for number in numbers) and tuple(map(int, numbers)) >= NACKS_ARE_FREE
