"""B4: what an idle connection costs on one gateway.

10,000 users connect one device each and then say nothing but the answers to keep-alive pings. `each` is the growth of
the server's resident memory from just after its start, all that it loads and caches on the way included, divided by
the connections. `CPU each` is the server's whole CPU time over the idle minute, so divided. The window is longer than
two ping intervals; in a quick run it is shorter than one, and `pings each` says how many there were.
"""

import asyncio
from dataclasses import dataclass
from time import perf_counter

from bench.client import connect_all, leave_all, open_acks
from bench.figures import Figure, Target
from bench.ledger import Ledger, Role
from bench.scenario import HANDSHAKES_AT_ONCE, MEGABYTE, Meter, Options, Scenario, never, seats_of
from bench.server import Server

SETTLE = 5.0  # seconds after the last handshake, so that its work is not taken for keep-alive
KILOBYTE = 1024
MEMORY_EACH = Target(limit=28)
CPU_EACH = Target(limit=10)


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
        ]
        await leave_all(clients)
    return figures


SCENARIO = Scenario(name="B4", title="idle connections with keep-alive on", measure=measure)
