"""`aldis doctor`: makes the checks that can be made, in an order in which one explains the next, and tells of each."""

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from aldis import __version__
from aldis.adapters.sql.postgres_url import is_postgres_url
from aldis.adapters.sql.schema_state import known_revisions
from aldis.bootstrap import ask_broker, ask_database, fetch_issuer_keys, inspect_database, is_served
from aldis.cli import folder
from aldis.cli.checks import broker, configuration, database, jwks, machine, postgres, storage
from aldis.cli.checks import server as serving
from aldis.cli.checks.finding import Finding, Outcome, fail, guarded
from aldis.cli.checks.secret import check_secret
from aldis.cli.server import Server, server_at
from aldis.cli.tables import print_json
from aldis.cli.terminal import Paint, escape, paint_for, paint_plain
from aldis.domain.amqp_address import parse_amqp_address
from aldis.settings import HMAC, Settings

PAGES_SECONDS = 20.0  # for the check of the database's pages, unless all of them are wanted
NAME_WIDTH = 12
MARKS = {Outcome.OK: ("✓", "good"), Outcome.WARN: ("!", "odd"), Outcome.FAIL: ("✗", "alarm")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was asked for."""

    data_dir: Path | None
    server: Server | None
    connections: int
    is_full: bool


def examine(order: Order, *, as_json: bool) -> int:
    """Make all checks and tell of them as they are made; the exit code."""
    paint = paint_for(sys.stdout)
    settings, findings = configuration.check_settings(order.data_dir)
    made: list[Finding] = []
    for finding in _all_checks(order, settings, findings):
        made.append(finding)
        if not as_json:
            print("\n".join(render(finding, paint)), flush=True)
    if as_json:
        print_json(to_json(made, settings))
    else:
        print(summarize(made), flush=True)
    return 1 if any(finding.outcome is Outcome.FAIL for finding in made) else 0


def _all_checks(order: Order, settings: Settings | None, of_settings: Sequence[Finding]) -> Iterator[Finding]:
    yield machine.check_python()
    yield machine.check_open_files(order.connections)
    yield from guarded("memory", machine.check_memory)
    yield from of_settings
    if settings is not None:
        yield from _check_folder(settings)
        yield from _check_database(settings, seconds=None if order.is_full else PAGES_SECONDS)
        yield from _check_server(settings, order.server)
        yield from _check_jwks(settings)
        yield from _check_broker(settings)


def _check_folder(settings: Settings) -> Iterator[Finding]:
    place = settings.data_dir.absolute()
    yield from guarded("data_folder", partial(storage.check_folder, place))
    yield from guarded("filesystem", partial(storage.check_filesystem, place))
    yield from guarded("disk", partial(storage.check_disk, place))
    yield from guarded("secret", partial(check_secret, settings))


def _check_database(settings: Settings, *, seconds: float | None) -> Iterator[Finding]:
    path, now_ms = folder.database_path(settings), int(time.time() * 1000)
    if is_postgres_url(settings.database_url):
        url = settings.database_url
        yield from postgres.check_postgres(
            ask=lambda: asyncio.run(ask_database(url)), revisions=known_revisions(), now_ms=now_ms
        )
        return
    if path is None:
        remedy = "Begin it with sqlite:/// or postgresql://, or leave it out."
        yield fail("database", "ALDIS_DATABASE_URL names neither an SQLite file nor PostgreSQL", remedy)
        return
    check = partial(
        database.check_database,
        path,
        inspect=partial(inspect_database, seconds=seconds),
        revisions=known_revisions(),
        now_ms=now_ms,
    )
    yield from guarded("database", check)


def _check_server(settings: Settings, given: Server | None) -> Iterator[Finding]:
    """A server that runs is asked; where none runs and none was named, the next one needs its port."""
    try:
        is_held = is_served(settings.data_dir)
    except OSError as error:
        yield fail("server", f"cannot see whether one runs: {error.strerror}", "Run as the user that runs it.")
        is_held = False
    if given is None and not is_held:
        yield from () if settings.port == 0 else (serving.check_port(settings.host, settings.port),)
    elif given is None and settings.port == 0:
        yield fail("server", "one runs on this data folder, on a port that it chose itself", "Say --url.")
    else:
        server = given if given is not None else server_at(settings.host, settings.port)
        with serving.open_probe(server) as client:
            yield from serving.check_server(client, lambda: datetime.now(UTC), is_held=is_held)


def _check_jwks(settings: Settings) -> Iterator[Finding]:
    rules = settings.jwt
    if rules.jwks_url is not None:
        yield jwks.check_jwks(
            rules.jwks_url, rules.allowed - {HMAC}, fetch=lambda url: asyncio.run(fetch_issuer_keys(url))
        )


def _check_broker(settings: Settings) -> Iterator[Finding]:
    if settings.rabbitmq_url is not None:
        address = parse_amqp_address(settings.rabbitmq_url.get_secret_value())
        yield from broker.check_broker(address, ask=lambda node: asyncio.run(ask_broker(address, node)))


def render(finding: Finding, paint: Paint) -> list[str]:
    """The lines of a finding: what is so, and what to do under it. On a terminal a mark stands for the word."""
    mark, style = MARKS[finding.outcome]
    word = f"{finding.outcome:<4}" if paint is paint_plain else mark
    lines = [f"{paint(word, style)}  {finding.name:<{NAME_WIDTH}}  {escape(finding.detail)}"]
    if finding.remedy is not None:
        lines.append(f"{' ' * (len(word) + NAME_WIDTH + 4)}{paint(escape(finding.remedy), 'bold')}")
    return lines


def summarize(findings: Sequence[Finding]) -> str:
    """The last line."""
    failures, warnings = (
        sum(finding.outcome is outcome for finding in findings) for outcome in (Outcome.FAIL, Outcome.WARN)
    )
    if not failures and not warnings:
        return "All is well."
    return f"{len(findings)} checks: {failures} failed, {warnings} to look at."


def to_json(findings: Sequence[Finding], settings: Settings | None) -> dict[str, Any]:
    """The report for programs."""
    return {
        "ok": all(finding.outcome is not Outcome.FAIL for finding in findings),
        "version": __version__,
        "data_dir": str(settings.data_dir.absolute()) if settings is not None else None,
        "checks": [
            {"name": f.name, "outcome": f.outcome.value, "detail": f.detail, "remedy": f.remedy} for f in findings
        ],
    }
