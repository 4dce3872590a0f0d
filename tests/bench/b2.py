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

from bench.exchange import Exchange, Goals, Phase
from bench.figures import Figure, Target
from bench.pairs import Pairs, connected
from bench.scenario import Options, Scenario, no_collector
from bench.search import best, next_rate
from bench.server import Server

CEILING = 20_000  # messages a second: the search goes no higher
WARM_UP_RATE = 500
HIGHEST = "highest"
SPEED = Target(limit=3_000, at_least=True)
GOALS = Goals(scenario="B2", latencies={"recipient p99": Target(limit=20)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much load there is; seconds are those of each phase."""

    pairs: Pairs
    rates: tuple[int, ...]
    seconds: int
    trials: int


FULL = Size(pairs=Pairs(count=5_000, active=50), rates=(1_000, 3_000, 5_000), seconds=10, trials=8)
QUICK = Size(pairs=Pairs(count=400, active=50), rates=(500, 1_000, 2_000), seconds=3, trials=4)


async def measure(server: Server, options: Options) -> list[Figure]:
    """Measure the embedded stores."""
    return await measure_pairs(server, options, goals=GOALS, speed=SPEED)


async def measure_pairs(server: Server, options: Options, *, goals: Goals, speed: Target) -> list[Figure]:
    """Run the stated rates, then look for the highest that is sustained."""
    size = QUICK if options.quick else FULL
    async with connected(server, size.pairs, goals) as exchange:
        with no_collector():
            await exchange.run_phase(WARM_UP_RATE, size.seconds // 2)
            return await _run_rates(exchange, size=size, stated=options.rates, speed=speed)


async def _run_rates(exchange: Exchange, *, size: Size, stated: tuple[int, ...], speed: Target) -> list[Figure]:
    phases = [await exchange.run_phase(rate, size.seconds) for rate in stated or size.rates]
    figures = [figure for phase in phases for figure in phase.figures]
    if stated:
        return figures
    await search(exchange, phases, seconds=size.seconds, trials=size.trials)
    return figures + _highest(phases, speed)


async def search(exchange: Exchange, phases: list[Phase], *, seconds: int, trials: int) -> None:
    """Add phases until the highest rate is known, or so many were tried."""
    for _ in range(trials):
        rate = next_rate([phase.trial for phase in phases], ceiling=CEILING)
        if rate is None:
            break
        phases.append(await exchange.run_phase(rate, seconds))


def _highest(phases: list[Phase], speed: Target) -> list[Figure]:
    """Repeat the figures of the highest sustained rate in a column of their own."""
    found = best([phase.trial for phase in phases])
    if found is None:
        return [Figure(name="achieved", unit="msg/s", column=HIGHEST, value=0, target=speed)]
    figures = next(phase.figures for phase in phases if phase.trial is found)
    return [
        replace(figure, column=HIGHEST, target=speed if figure.name == "achieved" else figure.target)
        for figure in figures
    ]


SCENARIO = Scenario(
    name="B2",
    title="one-to-one, durable, embedded stores, all devices connected and acknowledging",
    measure=measure,
)
