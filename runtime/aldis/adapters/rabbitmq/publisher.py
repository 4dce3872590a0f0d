"""Giving items and events to the broker: each is safe there when the call returns, or the call says that it may not be.

Confirmations are waited for side by side, in a window; who finds it full waits for a bounded time among a bounded
number of others. A channel that the broker has closed is opened again, and what was missing there is declared again.
"""

import asyncio
from collections.abc import Awaitable, Callable

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import ChannelClosed, ChannelInvalidStateError, DeliveryError, PublishError

from aldis.adapters.rabbitmq import topology
from aldis.adapters.rabbitmq.errors import translated
from aldis.adapters.rabbitmq.link import Link
from aldis.domain.errors import Unavailable
from aldis.telemetry.metrics import Metrics

WINDOW = 128  # calls that wait for a confirmation: a third of a millisecond each, where one by one it takes a whole one
WAITING = 2_000  # calls in all; one more is refused at once
# That the consumers of a deleted queue are given to hear of it. Where one is declared again before that, RabbitMQ 3.10
# takes them for consumers of the new one, and they never get what it sends them.
GONE_SECONDS = 0.5
EVENT_BATCH = "application/cloudevents-batch+json"


class _Channel:
    """A channel that is opened when it is needed, and again when the broker has closed it."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self._opening = asyncio.Lock()
        self._channel: AbstractChannel | None = None

    async def open(self) -> AbstractChannel:
        if self._channel is None or self._channel.is_closed:
            async with self._opening:
                if self._channel is None or self._channel.is_closed:
                    self._channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
        return self._channel


class _Session:
    """What one connection has opened and declared. It holds what the driver keeps by weak references only."""

    def __init__(self, connection: AbstractConnection, queue_items: int) -> None:
        self.connection = connection
        self._queue_items = queue_items
        self._work = _Channel(connection)
        self._events = _Channel(connection)
        self._declaring = asyncio.Lock()
        self._declared: set[str] = set()

    async def give(self, queue: str, item: bytes) -> None:
        """Put an item into a queue that must be there; one that has gone is declared again."""
        try:
            try:
                await self._give(queue, item)
            except PublishError:  # no route: the queue was deleted
                await asyncio.sleep(GONE_SECONDS)
                await self._give_anew(queue, item)
            except (ChannelClosed, ChannelInvalidStateError):  # the channel went under us
                await self._give_anew(queue, item)
        except DeliveryError as error:
            raise Unavailable(
                f"queue {queue} is full; its work stays in the database and is published again"
            ) from error

    async def _give_anew(self, queue: str, item: bytes) -> None:
        self._declared.discard(queue)
        await self._give(queue, item)

    async def _give(self, queue: str, item: bytes) -> None:
        await self._declare_once(queue, lambda: topology.declare_work(self.connection, queue, self._queue_items))
        channel = await self._work.open()
        message = Message(item, delivery_mode=DeliveryMode.PERSISTENT, app_id="aldis")
        await channel.default_exchange.publish(message, topology.work_queue(queue), mandatory=True)

    async def tell(self, topic: str, payload: bytes) -> None:
        """Send events to the exchange that others bind to; one that has gone is declared again."""
        try:
            await self._tell(topic, payload)
        except (ChannelClosed, ChannelInvalidStateError):
            self._declared.discard(topology.EVENTS)
            await self._tell(topic, payload)

    async def _tell(self, topic: str, payload: bytes) -> None:
        channel = await self._events.open()
        await self._declare_once(topology.EVENTS, lambda: topology.declare_events(channel))
        exchange = await channel.get_exchange(topology.EVENTS, ensure=False)
        message = Message(payload, delivery_mode=DeliveryMode.PERSISTENT, content_type=EVENT_BATCH, app_id="aldis")
        await exchange.publish(message, topic, mandatory=False)

    async def _declare_once(self, name: str, declare: Callable[[], Awaitable[object]]) -> None:
        if name not in self._declared:
            async with self._declaring:
                if name not in self._declared:
                    await declare()
                    self._declared.add(name)


class Publisher:
    """Publishes over one link."""

    def __init__(self, link: Link, *, metrics: Metrics, queue_items: int, seconds: float) -> None:
        self._link = link
        self._metrics = metrics
        self._queue_items = queue_items
        self._seconds = seconds
        self._window = asyncio.Semaphore(WINDOW)
        self._calls = 0
        self._session: _Session | None = None

    async def publish(self, queue: str, item: bytes) -> None:
        """Put an item into a work queue; raises `Unavailable`."""
        await self._call(queue, lambda session: session.give(queue, item))

    async def announce(self, topic: str, payload: bytes) -> None:
        """Send events; raises `Unavailable`."""
        await self._call("events", lambda session: session.tell(topic, payload))

    async def _call(self, target: str, send: Callable[[_Session], Awaitable[None]]) -> None:
        """One call and its outcome, which is counted."""
        outcome = "unavailable"
        self._calls += 1
        try:
            await self._send(send)
            outcome = "taken"
        except Unavailable as error:
            if isinstance(error.__cause__, DeliveryError):
                outcome = "refused"
            elif isinstance(error.__cause__, TimeoutError):
                outcome = "late"
                self._link.doubt()
            raise
        finally:
            self._calls -= 1
            self._metrics.broker_published.labels(target=target, outcome=outcome).inc()

    async def _send(self, send: Callable[[_Session], Awaitable[None]]) -> None:
        if self._calls > WAITING:
            raise Unavailable("too much waits for the broker; what was to be given to it stays in the database")
        with translated():
            async with asyncio.timeout(self._seconds), self._window:
                await send(await self._open_session())

    async def _open_session(self) -> _Session:
        wire = self._link.wire()
        if await wire.is_blocked():
            raise Unavailable("the broker is short of memory or disk and takes nothing")
        if self._session is None or self._session.connection is not wire.connection:
            self._session = _Session(wire.connection, self._queue_items)
        return self._session
