"""B2: durable one-to-one messages on the embedded stores, as a messenger would have them.

5,000 senders with two connected devices and 5,000 recipients with one: 15,000 sockets. In each second 50 pairs are
active, and each second 50 others. Every message goes from a sender's first device to its recipient; the sender's other
device must get it too, and so does the sending device itself, in the same lane. All devices acknowledge.

How to read it: `answer` is the time until the sender knows that its message is committed, `recipient` until it has
arrived; both count from when the message was meant to be sent. `achieved` is what recipients got while the load was
on. A rate is sustained when that is 98 % of the offered rate and nothing is lost; `highest` is the best such rate.
`send lateness` is the generator's own delay: if it or the generator's CPU is high, the generator is the limit.
"""

from dataclasses import dataclass, replace

from bench.client import Client, connect_all, leave_all, open_acks
from bench.exchange import Exchange, Phase, Population
from bench.figures import Figure, Target
from bench.ledger import Ledger, Role
from bench.scenario import HANDSHAKES_AT_ONCE, Options, Scenario, no_collector, seats_of, tell
from bench.search import best, next_rate
from bench.server import Server

CEILING = 20_000  # messages a second: the search goes no higher
WARM_UP_RATE = 500
HIGHEST = "highest"
SPEED = Target(limit=3_000, at_least=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much load there is; seconds are those of each phase."""

    pairs: int
    active: int
    rates: tuple[int, ...]
    seconds: int
    trials: int


FULL = Size(pairs=5_000, active=50, rates=(1_000, 3_000, 5_000), seconds=10, trials=8)
QUICK = Size(pairs=400, active=50, rates=(500, 1_000, 2_000), seconds=3, trials=4)


async def measure(server: Server, options: Options) -> list[Figure]:
    """Run the stated rates, then look for the highest that is sustained."""
    size = QUICK if options.quick else FULL
    ledger = Ledger()
    async with open_acks() as acks:
        seats = [
            *seats_of("sender", size.pairs, device="phone", role=Role.SENDER, secret=server.secret),
            *seats_of("sender", size.pairs, device="laptop", role=Role.OTHER, secret=server.secret),
            *seats_of("recipient", size.pairs, device="phone", role=Role.RECIPIENT, secret=server.secret),
        ]
        tell(f"B2: {len(seats):,} devices connect")
        clients = await connect_all(seats, url=server.url, ledger=ledger, acks=acks, at_once=HANDSHAKES_AT_ONCE)
        exchange = Exchange(server, population=_sort(clients), ledger=ledger, active=size.active)
        with no_collector():
            await exchange.run_phase(WARM_UP_RATE, size.seconds // 2)
            figures = await _run_rates(exchange, size=size, stated=options.rates)
        await leave_all(clients)
    return figures


def _sort(clients: list[Client]) -> Population:
    """Bring the devices, which connected in any order, into the order of their users."""
    by_role: dict[Role, list[Client]] = {role: [] for role in Role}
    for client in sorted(clients, key=lambda client: client.seat.user):
        by_role[client.role].append(client)
    return Population(senders=by_role[Role.SENDER], recipients=by_role[Role.RECIPIENT])


async def _run_rates(exchange: Exchange, *, size: Size, stated: tuple[int, ...]) -> list[Figure]:
    phases = [await exchange.run_phase(rate, size.seconds) for rate in stated or size.rates]
    figures = [figure for phase in phases for figure in phase.figures]
    if stated:
        return figures
    for _ in range(size.trials):
        rate = next_rate([phase.trial for phase in phases], ceiling=CEILING)
        if rate is None:
            break
        phases.append(await exchange.run_phase(rate, size.seconds))
    return figures + _highest(phases)


def _highest(phases: list[Phase]) -> list[Figure]:
    """Repeat the figures of the highest sustained rate in a column of their own."""
    found = best([phase.trial for phase in phases])
    if found is None:
        return [Figure(name="achieved", unit="msg/s", column=HIGHEST, value=0, target=SPEED)]
    figures = next(phase.figures for phase in phases if phase.trial is found)
    return [
        replace(figure, column=HIGHEST, target=SPEED if figure.name == "achieved" else figure.target)
        for figure in figures
    ]


SCENARIO = Scenario(
    name="B2",
    title="one-to-one, durable, embedded stores, all devices connected and acknowledging",
    measure=measure,
)
