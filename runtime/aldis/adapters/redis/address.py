"""Where Redis is, read from a URL.

| URL | what |
|---|---|
| `redis://[USER][:PASSWORD@]HOST[:PORT][/DB]` | one server, or an address that always leads to the writable one |
| `redis+sentinel://[USER][:PASSWORD@]HOST[:PORT],…/SERVICE[/DB]` | the server that these Sentinels name |
| `redis+cluster://[USER][:PASSWORD@]HOST[:PORT],…` | a Cluster, found by any of these nodes |

With `rediss` in place of `redis` the connection is TLS; `?ca=FILE` names who signs, else the system's authorities do.
Sentinels with a password of their own get it by `?sentinel_password=`. Reserved characters are percent-encoded. What is
wrong is told without the URL, in which there is a password.
"""

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

Kind = Literal["server", "sentinel", "cluster"]

KINDS: dict[str, tuple[Kind, bool]] = {
    "redis": ("server", False),
    "rediss": ("server", True),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
}
PORTS: dict[Kind, int] = {"server": 6379, "sentinel": 26379, "cluster": 6379}
OPTIONS = frozenset({"ca", "sentinel_password"})
MAX_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """Where Redis is, and as whom we come. Its text shows no password."""

    kind: Kind
    hosts: tuple[tuple[str, int], ...]
    database: int = 0
    service: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: str | None = None


def parse_address(url: str) -> RedisAddress:
    """Read a URL. Raises `ValueError`, which says what is wrong and shows none of it."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError("this is not a URL") from error
    if parts.scheme not in KINDS:
        raise ValueError(f"the URL must begin with one of {', '.join(f'{scheme}://' for scheme in KINDS)}")
    kind, tls = KINDS[parts.scheme]
    account, _, hosts = parts.netloc.rpartition("@")
    username, _, password = account.partition(":")
    service, database = _parse_path(parts, kind)
    options = _parse_options(parts)
    return RedisAddress(
        kind=kind,
        hosts=_parse_hosts(hosts, kind),
        database=database,
        service=service,
        username=unquote(username) or None,
        password=unquote(password) or None,
        sentinel_password=options.get("sentinel_password") or None,
        tls=tls,
        ca_file=options.get("ca") or None,
    )


def _parse_hosts(text: str, kind: Kind) -> tuple[tuple[str, int], ...]:
    hosts = tuple(_parse_host(host, PORTS[kind]) for host in text.split(","))
    if kind == "server" and len(hosts) > 1:
        raise ValueError("several hosts need redis+sentinel:// or redis+cluster://")
    return hosts


def _parse_host(text: str, port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, given = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"a port is a number up to {MAX_PORT}") from error
    if not host:
        raise ValueError("the URL names no host")
    return host, given if given is not None else port


def _parse_path(parts: SplitResult, kind: Kind) -> tuple[str, int]:
    """The service and the number of the database."""
    words = [unquote(word) for word in parts.path.split("/")[1:] if word]
    service = words.pop(0) if kind == "sentinel" and words else ""
    if kind == "sentinel" and not service:
        raise ValueError("behind the Sentinels the URL names the service they watch: /SERVICE")
    if kind == "cluster" and words:
        raise ValueError("a Cluster has no numbered databases: leave the path out")
    if len(words) > 1 or (words and not words[0].isdecimal()):
        raise ValueError("the path is the number of a database")
    return service, int(words[0]) if words else 0


def _parse_options(parts: SplitResult) -> dict[str, str]:
    options = dict(parse_qsl(parts.query))
    unknown = sorted(options.keys() - OPTIONS)
    if unknown:
        raise ValueError(f"unknown option {unknown[0]}; there are {', '.join(sorted(OPTIONS))}")
    return options
