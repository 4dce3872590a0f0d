"""A PostgreSQL URL as libpq writes it, made into what asyncpg takes. No error here ever shows a password.

`postgresql://user:password@host1:5432,host2:5432/database?sslmode=verify-full&target_session_attrs=read-write`. Beyond
libpq's: `password_file` names a file that holds nothing but the password and is read anew for each connection, and
`pooler=transaction` says that a pooler stands between which gives each transaction another connection.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from aldis.domain.errors import AldisError, Unavailable

SCHEMES = ("postgresql://", "postgres://", "postgresql+asyncpg://")
CONNECT_SECONDS = 5.0  # to each host of the list

_PASSED_ON = frozenset(
    (
        "host", "port", "dbname", "user", "passfile", "service", "target_session_attrs", "krbsrvname", "gsslib",
        "sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword", "sslnegotiation",
        "ssl_min_protocol_version", "ssl_max_protocol_version",
    )
)  # fmt: skip
_HARMLESS = {  # what says no more than what is so anyway
    "client_encoding": {"utf8", "utf-8", "auto"},
    "gssencmode": {"disable", "prefer"},
    "channel_binding": {"disable", "prefer"},
    "sslcompression": {"0"},
    "requiressl": {"0"},
}
_READ_HERE = frozenset(
    (
        "password", "password_file", "connect_timeout", "application_name", "fallback_application_name", "options",
        "pooler",
    )
)  # fmt: skip
_OPTION = re.compile(r"(?:-c\s*|--)([A-Za-z_][\w.-]*)=((?:[^\s\\]|\\.)*)\s*")
_SESSIONS = frozenset(("any", "primary", "read-write", "standby", "prefer-standby", "read-only"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresUrl:
    """Where a database is, and how to be let in; `dsn` holds no password."""

    dsn: str
    password: str | Callable[[], str] | None = field(default=None, repr=False)
    connect_seconds: float = CONNECT_SECONDS
    settings: Mapping[str, str] = field(default_factory=dict)
    has_pooler: bool = False

    def arguments(self) -> dict[str, Any]:
        """As asyncpg's `connect` takes them, its server's settings apart."""
        password = {"password": self.password} if self.password is not None else {}
        return {"dsn": self.dsn, "timeout": self.connect_seconds, **password}


def is_postgres_url(url: str) -> bool:
    """Whether a URL names a PostgreSQL database."""
    return url.startswith(SCHEMES)


def parse_postgres_url(url: str, *, sessions: str = "read-write") -> PostgresUrl:
    """Read a URL; `sessions` is what is wanted of a server unless it says so. Raises `AldisError` for what is wrong."""
    user, password, hosts, database, query = _split(url)
    given = _parameters(query)
    password = given.pop("password", password) or None
    file = given.pop("password_file", None)
    seconds = given.pop("connect_timeout", None)
    fallback = given.pop("fallback_application_name", "aldis")
    settings = {"application_name": given.pop("application_name", fallback), **_settings(given.pop("options", ""))}
    has_pooler = _is_pooled(given.pop("pooler", None))
    if given.setdefault("target_session_attrs", sessions) not in _SESSIONS:
        raise _wrong(f"target_session_attrs must be one of {', '.join(sorted(_SESSIONS))}")
    login = f"{user}@" if user else ""
    return PostgresUrl(
        dsn=f"postgresql://{login}{hosts}/{database}?{urlencode(given)}",
        password=_reader_of(Path(file)) if file is not None else password,
        connect_seconds=_seconds(seconds),
        settings=settings,
        has_pooler=has_pooler,
    )


def _split(url: str) -> tuple[str, str | None, str, str, str]:
    """User, password, hosts, database and query, the first and the last three as they stand in the URL."""
    scheme = next(scheme for scheme in SCHEMES if url.startswith(scheme))
    rest, _, query = url.removeprefix(scheme).partition("?")
    place, _, database = rest.partition("/")
    login, at, hosts = place.rpartition("@")
    if "@" in login or "@" in database or "/" in database or "#" in rest:
        raise _wrong("write the characters / ? # @ : of a user name or password as %2F %3F %23 %40 %3A")
    user, _, password = login.partition(":") if at else ("", "", "")
    _check_hosts(hosts)
    return user, unquote(password) or None, hosts, database, query


def _check_hosts(hosts: str) -> None:
    for host in hosts.split(",") if hosts else ():
        name, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
        if not (name or port) or (port and name and not port.isdigit()):
            raise _wrong("the hosts must read host1:5432,host2:5432")


def _parameters(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise _wrong("its parameters must read ?name=value&name=value") from None
    given = dict(pairs)
    for name, harmless in _HARMLESS.items():
        if given.get(name) in harmless:
            del given[name]
    unknown = sorted(given.keys() - _PASSED_ON - _READ_HERE)
    if unknown:
        raise _wrong(f"the parameter {unknown[0]} is not supported, or not with this value; leave it out")
    return given


def _settings(options: str) -> dict[str, str]:
    """The server's settings out of `-c name=value --name=value`; they win over our own."""
    found = list(_OPTION.finditer(options.strip()))
    if "".join(match[0] for match in found) != options.strip():
        raise _wrong("options must read -c name=value -c name=value")
    return {match[1].replace("-", "_"): re.sub(r"\\(.)", r"\1", match[2]) for match in found}


def _is_pooled(mode: str | None) -> bool:
    if mode not in {None, "session", "transaction"}:
        raise _wrong("pooler must be session or transaction")
    return mode == "transaction"


def _seconds(value: str | None) -> float:
    if value is None:
        return CONNECT_SECONDS
    if not value.isdigit():
        raise _wrong("connect_timeout must be a number of seconds")
    return float(value) or CONNECT_SECONDS  # libpq: zero is no limit; here each wait has one


def _reader_of(path: Path) -> Callable[[], str]:
    """Read the file each time, so that a password which is replaced counts for the next connection."""

    def read() -> str:
        try:
            return path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise Unavailable(f"the database's password_file {path} cannot be read ({error.strerror})") from error

    return read


def _wrong(what: str) -> AldisError:
    return AldisError(f"the database's URL is wrong: {what}")
