"""B5: a backend posts notifications to 10,000 users, each committed to the disk before it is answered.

`single` is a `POST /v1/messages` for each message over 32 kept connections, `batch` a `POST /v1/messages:batch` of 200
over four. Nobody is connected: this is the way in alone. The stated rates come first, then the search for the highest.

How to read it: a rate is sustained when 98 % of the offered messages are confirmed while it is offered and none is
refused; `highest` is the best such rate. At the end every confirmed id is looked for in the database: `lost` are those
that are not there, `unconfirmed` messages that are there without having been confirmed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.backend import Backend
from bench.figures import Figure, Target
from bench.ingest import Ingest, Way
from bench.scenario import Options, Scenario, never, no_collector
from bench.search import Trial, best, next_rate
from bench.server import Server

CHANNEL = "alerts"
SINGLE = Way(name="single", batch=1, lines=32)
BATCH = Way(name="batch", batch=200, lines=4)
CEILING = 40_000  # messages a second: the search goes no higher
TARGETS = {SINGLE: Target(limit=1_500, at_least=True), BATCH: Target(limit=10_000, at_least=True)}

Phase = tuple[Trial, list[Figure]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many users, at which rates, for how long each, and how many more rates are tried."""

    users: int
    single: tuple[int, ...]
    batch: tuple[int, ...]
    seconds: int
    trials: int


FULL = Size(users=10_000, single=(500, 1_500), batch=(5_000, 10_000), seconds=8, trials=6)
QUICK = Size(users=1_000, single=(300,), batch=(2_000,), seconds=2, trials=2)


async def measure(server: Server, options: Options) -> list[Figure]:
    """Single posts, then batches, then a look at what is stored."""
    size = QUICK if options.quick else FULL
    backend = Backend(server)
    backend.declare(CHANNEL, {"type": "Notification"})
    ingest = Ingest(server, backend=backend, channel=CHANNEL, users=size.users)
    figures: list[Figure] = []
    with no_collector():
        for way, rates in ((SINGLE, size.single), (BATCH, size.batch)):
            _ = await ingest.run_phase(way, rates[0], seconds=1)  # warms up
            figures += await _run_rates(ingest, way, options.rates or rates, size=size, is_search=not options.rates)
    stored = set(server.database.values("SELECT id FROM messages"))
    return [
        *figures,
        Figure(name="stored", column="in all", value=len(stored)),
        never("lost", len(ingest.confirmed - stored), "in all"),
        never("unconfirmed", len(stored - ingest.confirmed), "in all"),
    ]


async def _run_rates(ingest: Ingest, way: Way, rates: Sequence[int], *, size: Size, is_search: bool) -> list[Figure]:
    phases = [await ingest.run_phase(way, rate, size.seconds) for rate in rates]
    figures = [figure for _, told in phases for figure in told]
    if not is_search:
        return figures
    for _ in range(size.trials):
        rate = next_rate([trial for trial, _ in phases], ceiling=CEILING)
        if rate is None:
            break
        phases.append(await ingest.run_phase(way, rate, size.seconds))
    return figures + _highest(way, phases)


def _highest(way: Way, phases: Sequence[Phase]) -> list[Figure]:
    """Repeat the figures of the highest sustained rate in a column of their own."""
    column, target = f"{way.name} highest", TARGETS[way]
    found = best([trial for trial, _ in phases])
    if found is None:
        return [Figure(name="achieved", unit="msg/s", column=column, value=0, target=target)]
    figures = next(told for trial, told in phases if trial is found)
    return [
        replace(figure, column=column, target=target if figure.name == "achieved" else figure.target)
        for figure in figures
    ]


SCENARIO = Scenario(name="B5", title="a backend's posts, durable, to 10,000 users", measure=measure)
