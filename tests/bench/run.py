"""Measure Aldis: `python tests/bench/run.py [B2|B3|…]... [--production] [--quick] [--runs 3]`.

Without `--production` the server is `aldis serve` on its data folder; with it, or for a scenario whose name says so
(B1, B1F, B13, and B3P for B3), gateways and a worker on PostgreSQL, RabbitMQ and Redis that are started for it.
Each run of each scenario has a server and a data folder of its own; the table tells the medians (the worst, for what
must never happen). The table goes to standard output, progress to standard error, and everything to
`bench/results.json`; beside it lie the server's log and metrics of each scenario's last run.
"""

import argparse
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import uvloop

if (
    __name__ == "__main__"
):  # started as a file, only this folder is on the path; the modules are found from the one above
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench import b1, b1_features, b2, b3, b4, b5, b6, b7, b13, flood, results, table
from bench.disk import measure_disk
from bench.figures import Figure, combine, missed
from bench.production import open_production
from bench.scenario import Options, Scenario, on_production, tell
from bench.server import GENERATOR_CORE, Server, ServerFailedError, open_server, pin, raise_file_limit

EMBEDDED = (b2.SCENARIO, b3.SCENARIO, b4.SCENARIO, b5.SCENARIO, b6.SCENARIO, b7.SCENARIO, flood.SCENARIO)
PRODUCTION = (
    b1.SCENARIO,
    b1_features.SCENARIO,
    b13.SCENARIO,
    *(on_production(scenario) for scenario in EMBEDDED if scenario is not b2.SCENARIO),  # which is B1 there
)
SCENARIOS = {scenario.name: scenario for scenario in (*EMBEDDED, *PRODUCTION)}
IN_PRODUCTION = {"B2": "B1", **{scenario.name: scenario.name for scenario in PRODUCTION}}
FILES_NEEDED = 16_000  # of one process: a socket for each of the 15,000 devices, and some


def main() -> int:
    """Run what the command line asks for; answer 1 when a server failed, whatever the figures are."""
    arguments = _parse(sys.argv[1:])
    results.FOLDER.mkdir(exist_ok=True)
    if not arguments.quick and raise_file_limit() < FILES_NEEDED:
        print(f"a full run needs {FILES_NEEDED:,} open files: raise the hard limit, or use --quick", file=sys.stderr)
        return 1
    pin(GENERATOR_CORE)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the server is stopped then, too
    blocks: list[str] = []
    try:
        blocks.extend(_run(scenario, arguments) for scenario in _chosen(arguments))
    except ServerFailedError as failure:
        print(failure, file=sys.stderr)
        return 1
    finally:
        print("\n\n".join(blocks))
    return 0


def _chosen(arguments: argparse.Namespace) -> Sequence[Scenario]:
    """Return the scenarios that are asked for, or all that stand on the stores that are asked for."""
    if not arguments.scenarios:
        return PRODUCTION if arguments.production else EMBEDDED
    names = arguments.scenarios
    if arguments.production:
        names = [IN_PRODUCTION.get(name, f"{name}P") for name in names]
    return [SCENARIOS[name] for name in dict.fromkeys(names)]


def _run(scenario: Scenario, arguments: argparse.Namespace) -> str:
    """Measure one scenario as often as asked, keep the results and return its block of the table."""
    options = Options(quick=arguments.quick, rates=arguments.rates)
    count = arguments.runs or (1 if options.quick else 3)
    runs: list[list[Figure]] = []
    servers: Mapping[str, str] = {}
    for number in range(1, count + 1):
        tell(f"{scenario.name}: run {number} of {count}")
        measured, servers = _run_once(scenario, options, prefix=arguments.server_prefix)
        runs.append(measured)
    figures = combine(runs)
    results.save(scenario.name, is_quick=options.quick, servers=servers, figures=figures, runs=runs)
    many = f"{count} runs, medians" if count > 1 else "one run"
    size = ", quick" if options.quick else ""
    failed = len(missed(figures))
    verdict = f"{failed} figures miss their targets" if failed else "all targets met"
    return table.render(f"{scenario.name}  {scenario.title} ({many}{size}): {verdict}", figures)


def _run_once(scenario: Scenario, options: Options, *, prefix: str) -> tuple[list[Figure], Mapping[str, str]]:
    """Measure once, and tell the versions of what the server stands on."""
    log = results.FOLDER / f"{scenario.name}.log"
    with _open(scenario, prefix=prefix, log=log) as server:
        floor = measure_disk("before")
        figures: list[Figure] = uvloop.run(scenario.measure(server, options))
        (results.FOLDER / f"{scenario.name}.metrics.txt").write_text(server.metrics())
        return [*figures, *floor], server.versions()


def _open(scenario: Scenario, *, prefix: str, log: Path) -> AbstractContextManager[Server]:
    if scenario.gateways:
        return open_production(gateways=scenario.gateways, prefix=prefix, log=log)
    return open_server(prefix=prefix, log=log)


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure Aldis.")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"of {', '.join(SCENARIOS)}; all without")
    parser.add_argument("--quick", action="store_true", help="one run with smaller numbers")
    parser.add_argument(
        "--production", action="store_true", help="on PostgreSQL, RabbitMQ and Redis: B3 is B3P then, and B2 is B1"
    )
    parser.add_argument("--runs", type=int, help="runs of each scenario (3, quick 1)")
    parser.add_argument(
        "--rates", type=_rates, default=(), help="B1, B2, B5, B13: these rates and no search, as in 1000,3000"
    )
    parser.add_argument("--server-prefix", default="", help="put in front of the server's command, for a profiler")
    arguments = parser.parse_args(words)
    if unknown := [name for name in arguments.scenarios if name not in SCENARIOS]:
        parser.error(f"no such scenario: {', '.join(unknown)}")
    return arguments


def _rates(text: str) -> tuple[int, ...]:
    return tuple(int(rate) for rate in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
