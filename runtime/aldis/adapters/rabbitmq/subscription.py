"""A channel on which a queue is consumed, and what has come of it so far.

The driver's callback only puts deliveries aside: it runs handlers in tasks that it cancels with the connection, where
what is in hand must be finished. How many deliveries wait here is bounded by the channel's prefetch.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue

from aldis.adapters.rabbitmq.errors import translated
from aldis.adapters.rabbitmq.wire import Wire, is_nack_free
from aldis.domain.errors import Unavailable

SETTLE_SECONDS = 5.0  # for an answer to a delivery to be written
OPEN_SECONDS = 15.0  # for a channel, its declarations and its consumer
CLOSE_SECONDS = 3.0
IDLE_SECONDS = 15.0  # without a delivery, after which the broker is asked whether it still knows of us
IDLE_LOOKS = 20  # in a row, after which the queue is consumed anew: what the broker believes of us cannot be seen

Prepare = Callable[[AbstractChannel], Awaitable[AbstractQueue]]


class Subscription:
    """A consumer of one queue. Make it with `open_subscription`."""

    def __init__(self, wire: Wire, channel: AbstractChannel, *, idle_looks: float) -> None:
        self._wire = wire
        self._channel = channel
        self._idle_looks = idle_looks
        self._queue: AbstractQueue | None = None  # the driver holds it by a weak reference
        self._deliveries: asyncio.Queue[AbstractIncomingMessage | None] = asyncio.Queue()
        self._tag = ""
        self._prefetch = 0
        self._held = 0  # deliveries that were handed out and not answered
        self.is_over = False
        self.is_nack_free = is_nack_free(wire.version)

    async def begin(self, prepare: Prepare, prefetch: int) -> None:
        """Let deliveries come."""
        self._channel.close_callbacks.add(self._on_lost)
        self._prefetch = prefetch
        await self._channel.set_qos(prefetch_count=prefetch)
        self._queue = await prepare(self._channel)
        below = await self._channel.get_underlay_channel()
        below.on_consumer_cancel_callbacks.add(self._on_lost)  # the queue was deleted, or its node has gone
        self._tag = await self._queue.consume(self._on_delivery)

    def end(self) -> None:
        """Hand out nothing more; what waits here goes back when the subscription is closed."""
        self.is_over = True
        self._deliveries.put_nowait(None)

    async def next(self) -> AbstractIncomingMessage | None:
        """The next delivery; None when there will be no more."""
        idle = 0
        while not self.is_over:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    delivery = await self._deliveries.get()
            except TimeoutError:
                idle += 1
                await self._look(idle)
                continue
            if delivery is not None and not self.is_over:
                self._held += 1
                return delivery
        return None

    def again(self, delivery: AbstractIncomingMessage) -> None:
        """Let a delivery that was not answered come once more, without the broker's knowledge."""
        self._held -= 1
        self._deliveries.put_nowait(delivery)

    async def settle(self, answer: Awaitable[None]) -> bool:
        """Give an answer to a delivery; False when it cannot be given any more, and the delivery comes again."""
        try:
            with translated():
                async with asyncio.timeout(SETTLE_SECONDS):
                    await answer
        except Unavailable:
            self.end()
            return False
        self._held -= 1
        return True

    async def close(self) -> None:
        """Give back what was not answered: it is for another consumer now, and has not failed."""
        self.is_over = True
        with suppress(Unavailable), translated():
            async with asyncio.timeout(CLOSE_SECONDS):
                if self._wire.lost.is_set() or self._channel.is_closed:
                    return
                if self._queue is not None and self._tag:
                    await self._queue.cancel(self._tag)
                    below = await self._channel.get_underlay_channel()
                    await below.basic_nack(0, multiple=True, requeue=True)
                await self._channel.close()

    async def _on_delivery(self, delivery: AbstractIncomingMessage) -> None:
        self._deliveries.put_nowait(delivery)

    def _on_lost(self, *_: object) -> None:
        self.end()

    async def _look(self, idle: int) -> None:
        """A consumer may be lost without a word: then the queue has none, or holds what it should have sent us."""
        assert self._queue is not None
        with translated():
            async with asyncio.timeout(SETTLE_SECONDS):
                queue = await self._channel.declare_queue(self._queue.name, passive=True)
        found = queue.declaration_result
        is_forgotten = not found.consumer_count or (found.message_count and self._held < self._prefetch)
        if is_forgotten or (idle >= self._idle_looks and not self._held):
            self.end()


@asynccontextmanager
async def open_subscription(
    wire: Wire, prepare: Prepare, prefetch: int, *, idle_looks: float = IDLE_LOOKS
) -> AsyncGenerator[Subscription]:
    """Consume the queue that `prepare` declares while the block is open. Raises `Unavailable`."""
    with translated():
        async with asyncio.timeout(OPEN_SECONDS):
            channel = await wire.connection.channel(publisher_confirms=False)
    subscription = Subscription(wire, channel, idle_looks=idle_looks)
    try:
        with translated():
            async with asyncio.timeout(OPEN_SECONDS):
                await subscription.begin(prepare, prefetch)
        yield subscription
    finally:
        await subscription.close()
