"""Hearing announcements: a queue of this connection's own, bound to a topic for as long as the connection lasts."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from math import inf

import structlog
from aio_pika.abc import AbstractChannel, AbstractQueue

from aldis.adapters.rabbitmq import topology
from aldis.adapters.rabbitmq.link import Link
from aldis.adapters.rabbitmq.subscription import Subscription, open_subscription
from aldis.domain.errors import Unavailable
from aldis.domain.work import wait_seconds
from aldis.ports.broker import Handler
from aldis.ports.clock import Clock
from aldis.telemetry import tasks

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

BINDING_PAYLOADS = 1024  # that wait in the broker for a slow reader; then the oldest ones go
PREFETCH = 50
BIND_SECONDS = 5.0  # that the beginning of the block waits to be bound


class Binding:
    """Reads one topic for one handler."""

    def __init__(self, link: Link, *, topic: str, handler: Handler, clock: Clock) -> None:
        self._link = link
        self._topic = topic
        self._handler = handler
        self._clock = clock
        self._bound = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Read while the block is open, which begins when the topic is bound, or when that takes too long."""
        reader = tasks.spawn(self._run(), f"bind:{self._topic}")
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(BIND_SECONDS):
                    await self._bound.wait()
            yield
        finally:
            await tasks.cancel_and_wait(reader)

    async def _run(self) -> None:
        losses = 0
        while True:
            try:
                wire = await self._link.wait_wire()
                # Never anew without need: what is announced in between would not be heard.
                async with open_subscription(wire, self._prepare, PREFETCH, idle_looks=inf) as subscription:
                    losses = 0
                    self._bound.set()
                    await self._read(subscription)
            except Unavailable as error:
                log.warning("binding_lost", topic=self._topic, reason=error.message)
            await self._clock.sleep(wait_seconds(losses, random.random()))  # noqa: S311 - jitter
            losses += 1

    async def _prepare(self, channel: AbstractChannel) -> AbstractQueue:
        return await topology.declare_binding(channel, self._topic, BINDING_PAYLOADS)

    async def _read(self, subscription: Subscription) -> None:
        while (delivery := await subscription.next()) is not None:
            try:
                await self._handler(delivery.body)
            except Exception:
                log.exception("announcement_failed", topic=self._topic)
            await subscription.settle(delivery.ack())
