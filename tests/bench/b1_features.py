"""B1F: what each feature costs in B1, as milliseconds of CPU for each message, process by process.

Every column is a production of its own on empty stores, under the same steady load of B1, with one thing changed:
`everything` is B1; with `no acks` devices do not acknowledge, so senders are told nothing either; with `no laptop` the
sender has no other device; with `no queue` RabbitMQ gets the events but nobody has bound a queue; with `no worker`
the events stay in the database and nothing rings. Limits cannot be switched off: they are counted in every column,
raised so far that a process seldom asks Redis for more; in `close limits` they are twice what a user sends, and it
has to.

How to read it: a feature costs what `everything` has more than the column without it. CPU counts from the first
message of the phase to the last receipt, so at a low rate it holds some of what the processes do when idle; compare
columns, not rates. `highest` is the best rate that was sustained in a short search. A quick run has three
columns and no search.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bench.b2 import WARM_UP_RATE, search
from bench.exchange import Goals, Phase
from bench.figures import Figure
from bench.pairs import Pairs, connected
from bench.production import ProductionServer
from bench.scenario import Options, Scenario, no_collector
from bench.search import best
from bench.server import Server

GOALS = Goals(scenario="B1F")
KEPT = ("offered", "achieved", "recipient p50", "recipient p99")  # rows of a phase that are shown, with two kinds more
EACH = " CPU each"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The load; with trials, the highest rate is looked for as well."""

    pairs: Pairs
    rate: int
    seconds: int
    trials: int
    columns: int  # of those that there are, from the left


FULL = Size(pairs=Pairs(count=1_000, active=50), rate=2_000, seconds=10, trials=5, columns=6)
QUICK = Size(pairs=Pairs(count=200, active=50), rate=500, seconds=2, trials=0, columns=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One column: what is changed of B1."""

    name: str
    pairs: Pairs
    workers: int = 1
    is_bound: bool = True
    limits: Mapping[str, str] | None = None


def variants(size: Size) -> Sequence[Variant]:
    """Return the columns."""
    pairs = size.pairs
    limit = str(2 * size.rate // pairs.active)
    return [
        Variant(name="everything", pairs=pairs),
        Variant(name="no acks", pairs=replace(pairs, are_acknowledging=False)),
        Variant(name="no worker", pairs=pairs, workers=0, is_bound=False),
        Variant(name="no queue", pairs=pairs, is_bound=False),
        Variant(name="no laptop", pairs=replace(pairs, have_other_device=False)),
        Variant(
            name="close limits",
            pairs=pairs,
            limits={"ALDIS_LIMITS__MESSAGES_PER_SECOND": limit, "ALDIS_LIMITS__BURST": limit},
        ),
    ]


async def measure(server: Server, options: Options) -> list[Figure]:
    """Measure one column after the other."""
    assert isinstance(server, ProductionServer), "the scenario names its gateways"
    size = QUICK if options.quick else FULL
    if options.rates:
        size = replace(size, rate=options.rates[0], trials=0)
    figures: list[Figure] = []
    for number, variant in enumerate(variants(size)[: size.columns]):
        if number:  # the first is as it was started
            server.begin_anew(workers=variant.workers, is_bound=variant.is_bound, limits=variant.limits)
        figures += await _measure_one(server, variant, size)
    return figures


async def _measure_one(server: Server, variant: Variant, size: Size) -> list[Figure]:
    goals = replace(GOALS, scenario=f"B1F: {variant.name}")
    async with connected(server, variant.pairs, goals) as exchange:
        with no_collector():
            await exchange.run_phase(min(WARM_UP_RATE, size.rate), max(2, size.seconds // 2))
            phases = [await exchange.run_phase(size.rate, size.seconds)]
            if size.trials and variant.limits is None:  # close limits are close to the one rate
                await search(exchange, phases, seconds=size.seconds // 2, trials=size.trials)
    return _tell(variant.name, phases, is_searched=size.trials > 0 and variant.limits is None)


def _tell(column: str, phases: Sequence[Phase], *, is_searched: bool) -> list[Figure]:
    """Return what of the first phase is of interest, what all processes use together, and the highest rate."""
    figures = [
        replace(figure, column=column)
        for figure in phases[0].figures
        if figure.name in KEPT or figure.name.endswith(EACH) or figure.target is not None
    ]
    total = sum(figure.value for figure in figures if figure.name.endswith(EACH))
    figures.append(Figure(name="all CPU each", unit="ms", column=column, value=total))
    if is_searched:
        found = best([phase.trial for phase in phases])
        figures.append(Figure(name="highest", unit="msg/s", column=column, value=found.offered if found else 0))
    return figures


SCENARIO = Scenario(name="B1F", title="what each feature of B1 costs", measure=measure, gateways=1)
