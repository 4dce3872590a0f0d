"""The server: who serves the data folder, does it answer, does its clock agree, and if none runs, is the port free."""

import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx2

from aldis import __version__
from aldis.cli.checks.finding import Finding, fail, ok, warn
from aldis.cli.server import Server

TIMEOUT_SECONDS = 5.0
SKEW_SECONDS = 5.0  # of the two clocks; the Date header has whole seconds only
RESTART = "See its log; when it stays like this, restart it."


def open_probe(server: Server) -> httpx2.Client:
    """A client for a server's probes."""
    return httpx2.Client(base_url=server.url, timeout=TIMEOUT_SECONDS, trust_env=not server.is_local)


def check_server(client: httpx2.Client, now: Callable[[], datetime], *, is_held: bool) -> Iterator[Finding]:
    """What a server says of itself; `is_held` says that one serves this data folder."""
    url = str(client.base_url).rstrip("/")
    try:
        yield from _ask(client, url, now)
    except httpx2.TransportError as error:
        yield _silent(url, str(error) or type(error).__name__, is_held=is_held)


def _ask(client: httpx2.Client, url: str, now: Callable[[], datetime]) -> Iterator[Finding]:
    alive = client.get("/livez")
    if alive.status_code != HTTPStatus.OK or not _body(alive):
        yield fail("server", f"{url} does not answer like Aldis ({alive.status_code})", "Say its address with --url.")
        return
    yield check_ready(client, url)
    yield check_version(client)
    yield from check_clock(alive.headers.get("date"), now())


def _silent(url: str, words: str, *, is_held: bool) -> Finding:
    if is_held:
        remedy = "Does it listen elsewhere? Then say --url. Otherwise it hangs: see its log and restart it."
        return fail("server", f"one runs on this data folder, but {url} does not answer: {words}", remedy)
    return fail("server", f"{url} does not answer: {words}", "Start it, or say its address with --url.")


def check_ready(client: httpx2.Client, url: str) -> Finding:
    """Started, and fit for traffic."""
    started, ready = client.get("/startupz"), client.get("/readyz")
    status = str(_body(ready).get("status", "unknown"))
    if started.status_code != HTTPStatus.OK or status == "starting":
        return warn("server", f"{url} has not begun to serve", "Wait a moment and look again.")
    if status == "draining":
        return warn("server", f"{url} is draining: it sends its clients away and ends", "Start it again afterwards.")
    if ready.status_code != HTTPStatus.OK:
        return fail("server", f"{url} is {status}: {_troubles(ready)}", RESTART)
    return ok("server", f"{url} is ready")


def _troubles(ready: httpx2.Response) -> str:
    """What it waits for: a dependency and the time of its last answer."""
    told = _body(ready).get("dependencies")
    ages = {name: state.get("seconds_since_success") for name, state in told.items()} if isinstance(told, dict) else {}
    words = [f"{name} answered {'never' if age is None else f'{age:.0f} s ago'}" for name, age in ages.items()]
    return ", ".join(words) or "it does not say why"


def check_version(client: httpx2.Client) -> Finding:
    """The server's version beside this program's."""
    about = _body(client.get("/openapi.json")).get("info")
    running = about.get("version") if isinstance(about, dict) else None
    if running is None:
        return warn("version", "/openapi.json does not tell the server's version", "See the server's log.")
    if running == __version__:
        return ok("version", f"{running}, like this program")
    remedy = "Restart the server, so that both are of one version."
    return warn("version", f"the server is {running}, this program {__version__}", remedy)


def check_clock(date: str | None, now: datetime) -> Iterator[Finding]:
    """The server's clock beside this one's."""
    try:
        told = parsedate_to_datetime(date or "")
    except ValueError:
        return
    behind = (now - told).total_seconds()
    if abs(behind) <= SKEW_SECONDS:
        yield ok("clock", "agrees with the server's")
        return
    words = f"this clock is {abs(behind):.0f} s {'ahead of' if behind > 0 else 'behind'} the server's"
    yield warn("clock", words, "Set both by NTP: tokens end by the server's clock.")


def check_port(host: str, port: int) -> Finding:
    """Free, when nobody serves: the next start needs it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with closing(socket.socket(family)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            probe.bind((host, port))
    except OSError as error:
        remedy = "End the other program, or serve on another port: --port or ALDIS_PORT."
        return fail("port", f"cannot listen on {host}:{port}: {error.strerror}", remedy)
    return ok("port", f"{host}:{port} is free")


def _body(response: httpx2.Response) -> dict[str, object]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
