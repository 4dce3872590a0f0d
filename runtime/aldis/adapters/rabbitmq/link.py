"""A connection that is kept: opened to one node after the other until one takes it, watched, and opened again.

What is lost with a connection is not repeated here. Waits between attempts grow and are fully random, so that a
thousand processes do not come back to a restarted broker at the same moment.
"""

import asyncio
import random
import time
from contextlib import suppress

import structlog

from aldis.adapters.rabbitmq.wire import Wire, open_wire
from aldis.domain.amqp_address import AmqpAddress
from aldis.domain.errors import Unavailable
from aldis.ports.clock import Clock
from aldis.telemetry.metrics import Metrics
from aldis.telemetry.tasks import cancel_and_wait, spawn

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

CHECK_SECONDS = 5.0  # between looks at whether the connection still answers
FIRST_TRY_SECONDS = 10.0  # that a start waits for the first attempt; it goes on without a broker
BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 15.0
STABLE_SECONDS = 30.0  # a connection that lasted as long was a good one: the waits begin anew


class Link:
    """One connection to the cluster for as long as it is started."""

    def __init__(self, address: AmqpAddress, *, name: str, clock: Clock, metrics: Metrics) -> None:
        self._nodes = random.sample(address.nodes, len(address.nodes))
        self._address = address
        self._name = name
        self._clock = clock
        self._up = metrics.broker_connections.labels(connection=name)
        self._connects = {
            outcome: metrics.broker_connects.labels(connection=name, outcome=outcome)
            for outcome in ("taken", "failed", "lost", "stuck")
        }
        self._wire: Wire | None = None
        self._opened = asyncio.Event()
        self._tried = asyncio.Event()
        self._doubted = asyncio.Event()
        self._answered: float | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to connect, and wait for what comes of the first attempt; does nothing when it is started."""
        if self._keeper is None:
            self._keeper = spawn(self._keep(), f"rabbitmq-{self._name}")
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_TRY_SECONDS):
                await self._tried.wait()

    async def stop(self) -> None:
        """Say farewell to the broker."""
        if self._keeper is not None:
            await cancel_and_wait(self._keeper)

    @property
    def age(self) -> float | None:
        """Seconds since the broker last answered; None when it never has."""
        return time.monotonic() - self._answered if self._answered is not None else None

    def wire(self) -> Wire:
        """The connection. Raises `Unavailable` when there is none now."""
        if self._wire is None or self._wire.lost.is_set():
            raise Unavailable("the broker is not connected; what was to be given to it stays in the database")
        return self._wire

    async def wait_wire(self) -> Wire:
        """The connection, waited for as long as it takes."""
        while True:
            await self._opened.wait()
            with suppress(Unavailable):
                return self.wire()
            await asyncio.sleep(0)  # it has just been lost, and the keeper has yet to see that

    def doubt(self) -> None:
        """Something was not answered in time: see now whether the connection is any good."""
        self._doubted.set()

    async def _keep(self) -> None:
        failures = 0
        while True:
            wire = await self._open()
            if wire is not None:
                failures = 0 if await self._use(wire) >= STABLE_SECONDS else failures
            ceiling = min(LONGEST_BACKOFF_SECONDS, BACKOFF_SECONDS * 2.0 ** min(failures, 16))
            await self._clock.sleep(random.random() * ceiling)  # noqa: S311 - jitter
            failures += 1

    async def _open(self) -> Wire | None:
        node = self._nodes[0]
        self._nodes.append(self._nodes.pop(0))  # the next attempt is for the next one
        host = f"{node[0]}:{node[1]}"
        try:
            wire = await open_wire(self._address, node, name=f"aldis-{self._name}", on_lost=self.doubt)
        except Unavailable as error:
            self._connects["failed"].inc()
            log.warning("broker_unreachable", connection=self._name, host=host, reason=_cause(error))
            return None
        finally:
            self._tried.set()
        self._connects["taken"].inc()
        log.info("broker_connected", connection=self._name, host=host)
        return wire

    async def _use(self, wire: Wire) -> float:
        """Lend the connection out until it is lost or does not answer; for how many seconds that was."""
        began = time.monotonic()
        self._wire, self._answered = wire, began
        self._opened.set()
        self._up.set(1)
        try:
            outcome = await self._watch(wire)
        finally:
            self._wire = None
            self._opened.clear()
            self._up.set(0)
            await wire.close()
        self._connects[outcome].inc()
        log.warning("broker_lost", connection=self._name, outcome=outcome, reason=wire.reason)
        return time.monotonic() - began

    async def _watch(self, wire: Wire) -> str:
        while not await self._wait_turn(wire):
            try:
                if await wire.check():
                    self._answered = time.monotonic()
            except Unavailable:
                if not wire.lost.is_set():
                    wire.abort()
                    return "stuck"
        return "lost"

    async def _wait_turn(self, wire: Wire) -> bool:
        """Wait until it is time to look, or somebody doubts; True: it is lost."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CHECK_SECONDS):
                await self._doubted.wait()
        self._doubted.clear()
        return wire.lost.is_set()


def _cause(error: Unavailable) -> str:
    """What the driver said, by its name alone: its words may hold an address with a password."""
    return type(error.__cause__).__name__ if error.__cause__ is not None else error.message
