"""B4: what an idle connection costs on one gateway.

10,000 users connect one device each and then say nothing but the answers to keep-alive pings. `each` is the growth of
the server's resident memory from just after its start, all that it loads and caches on the way included, divided by
the connections. `CPU each` is the server's whole CPU time over the idle minute, so divided. The window is longer than
two ping intervals; in a quick run it is shorter than one, and `pings each` says how many there were.

An idle connection must be a live one: a channel that everyone hears is declared, as it would be; the server must still
count every connection at the end; and 200 of them, spread over all, must get a message then.
"""

import asyncio
import re
from dataclasses import dataclass
from time import perf_counter

from bench import frames
from bench.backend import Backend
from bench.client import Acks, Client, connect, connect_all, leave_all, open_acks
from bench.figures import Figure, Target
from bench.ledger import Ledger, Role
from bench.scenario import (
    HANDSHAKES_AT_ONCE,
    MEGABYTE,
    Meter,
    Options,
    Scenario,
    never,
    seats_of,
    take_seat,
    wait_until,
)
from bench.server import Server

SETTLE = 5.0  # seconds after the last handshake, so that its work is not taken for keep-alive
KILOBYTE = 1024
MEMORY_EACH = Target(limit=28)
CPU_EACH = Target(limit=10)
ASKED = 200  # connections that get a message in the end
ANSWER_WITHIN = 20.0
_CONNECTIONS = re.compile(r"^aldis_connections (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many connections there are and for how many seconds they are watched."""

    connections: int
    seconds: float


FULL = Size(connections=10_000, seconds=60)
QUICK = Size(connections=1_000, seconds=15)


async def measure(server: Server, options: Options) -> list[Figure]:
    """Connect everyone, wait, and divide."""
    size = QUICK if options.quick else FULL
    ledger = Ledger()
    Backend(server).declare("news", {"type": "Broadcast", "audience": "Everyone"})
    before = server.usage().resident_bytes
    async with open_acks() as acks:
        seats = seats_of("idle", size.connections, device="phone", role=Role.RECIPIENT, secret=server.secret)
        started = perf_counter()
        clients = await connect_all(seats, url=server.url, ledger=ledger, acks=acks, at_once=HANDSHAKES_AT_ONCE)
        handshakes = size.connections / (perf_counter() - started)
        await asyncio.sleep(SETTLE)
        connected = server.usage().resident_bytes
        ledger.start_phase(0)
        meter, started = Meter(server), perf_counter()
        await asyncio.sleep(size.seconds)
        cpu, elapsed = meter.server_cpu(), perf_counter() - started
        after = max(connected, server.usage().resident_bytes)
        tally = ledger.tally
        figures = [
            Figure(name="connections", value=size.connections),
            Figure(name="handshakes", unit="/s", value=handshakes),
            Figure(name="RSS before", unit="MB", value=before / MEGABYTE),
            Figure(name="RSS connected", unit="MB", value=after / MEGABYTE),
            Figure(
                name="memory each", unit="KiB", value=(after - before) / KILOBYTE / size.connections, target=MEMORY_EACH
            ),
            Figure(name="watched", unit="s", value=elapsed),
            Figure(name="pings each", value=tally.pings / size.connections),
            Figure(name="CPU each", unit="µs/s", value=cpu / elapsed / size.connections * 1e6, target=CPU_EACH),
            never("refused", sum(tally.refused.values())),
            never("sockets closed", tally.closed),
            *meter.figures(),
            never("connections the server has lost", size.connections - _connections(server)),
            never("idle connections that got no message", await _ask(clients, server, ledger=ledger, acks=acks)),
        ]
        await leave_all(clients)
    return figures


def _connections(server: Server) -> int:
    """How many connections the server counts."""
    found = _CONNECTIONS.search(server.metrics())
    return int(float(found[1])) if found is not None else 0


async def _ask(clients: list[Client], server: Server, *, ledger: Ledger, acks: Acks) -> int:
    """Send a message to some of the idle ones and count those that it does not reach."""
    asked = clients[:: max(1, len(clients) // ASKED)]
    seat = take_seat("asking", "asking-phone", role=Role.SENDER, secret=server.secret)
    sender = await connect(seat, url=server.url, ledger=ledger, acks=acks)
    numbers = ledger.start_phase(len(asked))
    for number, client in zip(numbers, asked, strict=True):
        sender.send(frames.build_send(number, recipient=client.seat.user))
    await wait_until(lambda: ledger.tally.received[Role.RECIPIENT] >= len(asked), seconds=ANSWER_WITHIN)
    sender.leave()
    return len(asked) - ledger.tally.received[Role.RECIPIENT]


SCENARIO = Scenario(name="B4", title="idle connections with keep-alive on", measure=measure)
