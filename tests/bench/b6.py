"""B6: everyone comes back at once, and messages are waiting.

5,000 users connect their device once, so that it is known, and leave. 200 senders then write 20 messages to each of
them. Then all 5,000 connect as fast as the generator can, 300 handshakes under way at a time, without a cursor: a
known device goes on from what it acknowledged, which is nothing. Every lane must come as 1, 2, … 20.

How to read it: `recovered` is the time from the first connection attempt until the last device has all its messages;
`device p50` and `p99` count from the same moment, so they show how the crowd is served, not how long one handshake is.
"""

import asyncio
from dataclasses import dataclass
from time import perf_counter

from bench import frames
from bench.client import Client, connect_all, leave_all, open_acks
from bench.figures import Figure, Target, percentile
from bench.ledger import Ledger, Role
from bench.scenario import (
    HANDSHAKES_AT_ONCE,
    Meter,
    Options,
    Scenario,
    never,
    no_collector,
    seats_of,
    tell,
    wait_while_moving,
)
from bench.server import Server

RECONNECTS_AT_ONCE = 300
UNANSWERED = 1_000  # sends on their way at a time while the messages are laid up
STILL = 10.0  # seconds without any progress after which what is missing is lost
MOST = 120.0
SETTLE = 3.0
RECOVERY = Target(limit=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many come back, what waits for each, and how many wrote it."""

    devices: int
    senders: int
    waiting: int = 20

    @property
    def messages(self) -> int:
        """Return how many messages wait in all."""
        return self.devices * self.waiting


FULL = Size(devices=5_000, senders=200)
QUICK = Size(devices=500, senders=50)


async def measure(server: Server, options: Options) -> list[Figure]:
    """Lay the messages up, let everyone come back, and count."""
    size = QUICK if options.quick else FULL
    ledger = Ledger()
    seats = seats_of("reader", size.devices, device="phone", role=Role.RECIPIENT, secret=server.secret)
    writers = seats_of("writer", size.senders, device="phone", role=Role.SENDER, secret=server.secret)
    async with open_acks() as acks:
        known = await connect_all(seats, url=server.url, ledger=ledger, acks=acks, at_once=HANDSHAKES_AT_ONCE)
        await leave_all(known)
        tell(f"B6: {size.messages:,} messages are laid up")
        senders = await connect_all(writers, url=server.url, ledger=ledger, acks=acks, at_once=HANDSHAKES_AT_ONCE)
        started = perf_counter()
        numbers = await _lay_up(senders, [seat.user for seat in seats], size=size, ledger=ledger)
        laid_up = len(numbers) / (perf_counter() - started)
        tell(f"B6: {size.devices:,} devices come back {dict(ledger.tally.refused) or ''}")
        await asyncio.sleep(SETTLE)
        meter = Meter(server)
        with no_collector():
            started = perf_counter()
            readers = await connect_all(seats, url=server.url, ledger=ledger, acks=acks, at_once=RECONNECTS_AT_ONCE)
            connected = perf_counter() - started
            await _wait_received(ledger)
        figures = [
            Figure(name="devices", value=size.devices),
            Figure(name="messages waiting", value=ledger.tally.answered),
            Figure(name="laid up at", unit="msg/s", value=laid_up),
            Figure(name="last device connected", unit="s", value=connected),
            *_recovery(ledger, numbers, size=size, started=started),
            *meter.figures(),
        ]
        await leave_all([*readers, *senders])
    return figures


async def _lay_up(senders: list[Client], readers: list[str], *, size: Size, ledger: Ledger) -> range:
    """Send message n to reader n modulo the readers, from that reader's sender, a bounded number at a time."""
    numbers = ledger.start_phase(size.messages)
    tally = ledger.tally

    def outstanding() -> int:
        return number - tally.answered - sum(tally.refused.values())

    for number in numbers:
        reader = number % size.devices
        senders[reader % size.senders].send(frames.build_send(number, recipient=readers[reader]))
        if outstanding() >= UNANSWERED:
            await wait_while_moving(
                lambda: outstanding() < UNANSWERED // 2,
                progress=lambda: tally.answered,
                still=STILL,
                most=MOST,
            )
    return numbers


async def _wait_received(ledger: Ledger) -> None:
    tally = ledger.tally
    await wait_while_moving(
        lambda: tally.received[Role.RECIPIENT] >= tally.answered,
        progress=lambda: tally.received[Role.RECIPIENT],
        still=STILL,
        most=MOST,
    )


def _recovery(ledger: Ledger, numbers: range, *, size: Size, started: float) -> list[Figure]:
    """Say when each device had its last message, and what is wrong with what came."""
    times, tally = ledger.received[Role.RECIPIENT], ledger.tally
    last = [0.0] * size.devices
    for number in numbers:
        reader = number % size.devices
        last[reader] = max(last[reader], times[number] - started)
    return [
        Figure(name="recovered", unit="s", value=max(last), target=RECOVERY),
        Figure(name="device p50", unit="s", value=percentile(last, 0.50)),
        Figure(name="device p99", unit="s", value=percentile(last, 0.99)),
        Figure(name="messages received", value=tally.received[Role.RECIPIENT]),
        never("lost", ledger.missing(numbers, Role.RECIPIENT)),
        never("repeated", tally.repeated[Role.RECIPIENT]),
        never("out of order", tally.out_of_order[Role.RECIPIENT]),
        never("refused", sum(tally.refused.values())),
        never("sockets closed", tally.closed),
        never("frames not understood", tally.strange),
    ]


SCENARIO = Scenario(name="B6", title="all come back at once, 20 messages waiting for each", measure=measure)
