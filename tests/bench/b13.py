"""B13: one user receives 1,000 messages a second through two gateways.

He has a phone on the first gateway and a laptop on the second; 20 users write to him, ten on each gateway, so half of
what each of his devices gets was stored by the other gateway. Messages of all go into one lane of his, and each device
must get that lane as 1, 2, 3 … without a gap: it is judged on raw frames as they come out of the socket.

How to read it: `recipient` is the phone and `other device` the laptop; both have the target at 1,000 a second.
`out of order` counts positions that are not the one after the last on that connection, `repeated` messages and
positions that came again, `missing` confirmed messages that never came. `sender` is what senders see of their own.
Both gateways run on one core: the figures of more than one gateway's speed are not to be had on two cores.
"""

from dataclasses import dataclass

from bench.client import Acks, Client, connect, connect_all, leave_all, open_acks
from bench.exchange import Exchange, Goals, Population
from bench.figures import Figure, Target
from bench.ledger import Ledger, Role
from bench.production import ProductionServer
from bench.scenario import HANDSHAKES_AT_ONCE, Options, Scenario, no_collector, seats_of, take_seat
from bench.server import Server

USER = "popular"
SOON = Target(limit=100)
GOALS = Goals(scenario="B13", latencies={"recipient p99": SOON, "other device p99": SOON})
WARM_UP_RATE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many write to the one, at which rates, and for how long each."""

    senders: int = 20
    rates: tuple[int, ...] = (1_000,)
    seconds: int


FULL = Size(seconds=20)
QUICK = Size(seconds=4)


async def measure(server: Server, options: Options) -> list[Figure]:
    """Connect all and run the rates."""
    assert isinstance(server, ProductionServer), "the scenario names its gateways"
    size = QUICK if options.quick else FULL
    ledger = Ledger()
    async with open_acks() as acks:
        senders = await _connect_senders(server, size.senders, ledger=ledger, acks=acks)
        devices = await _connect_devices(server, ledger=ledger, acks=acks)
        population = Population(senders=senders, recipients=devices[:1] * len(senders))
        exchange = Exchange(server, population=population, ledger=ledger, active=len(senders), goals=GOALS)
        with no_collector():
            await exchange.run_phase(WARM_UP_RATE, max(2, size.seconds // 4))
            phases = [await exchange.run_phase(rate, size.seconds) for rate in options.rates or size.rates]
        await leave_all([*senders, *devices])
    return [figure for phase in phases for figure in phase.figures]


async def _connect_senders(server: ProductionServer, count: int, *, ledger: Ledger, acks: Acks) -> list[Client]:
    """Connect every other one to each gateway."""
    seats = seats_of("sender", count, device="phone", role=Role.SENDER, secret=server.secret)
    gateways = len(server.urls)
    return [
        client
        for number, url in enumerate(server.urls)
        for client in await connect_all(
            seats[number::gateways], url=url, ledger=ledger, acks=acks, at_once=HANDSHAKES_AT_ONCE
        )
    ]


async def _connect_devices(server: ProductionServer, *, ledger: Ledger, acks: Acks) -> list[Client]:
    """Connect the user's phone to the first gateway and his laptop to the second."""
    return [
        await connect(take_seat(USER, device, role=role, secret=server.secret), url=url, ledger=ledger, acks=acks)
        for device, role, url in zip(("phone", "laptop"), (Role.RECIPIENT, Role.OTHER), server.urls, strict=True)
    ]


SCENARIO = Scenario(name="B13", title="one user receives 1,000/s through two gateways", measure=measure, gateways=2)
