"""The address of a RabbitMQ: one URL, though it may name several nodes.

`amqps://user:password@one:5671,two/vhost?cafile=/run/ca.pem`. No text made from an address shows its password.
"""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

PORTS = {"amqp": 5672, "amqps": 5671}
FILES = ("cafile", "certfile", "keyfile")
MAX_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class AmqpAddress:
    """Where the nodes of one cluster are, and who we are there."""

    nodes: tuple[tuple[str, int], ...]
    user: str
    password: str = field(repr=False)
    vhost: str
    is_encrypted: bool
    cafile: str | None = None
    certfile: str | None = None
    keyfile: str | None = None


def parse_amqp_address(url: str) -> AmqpAddress:
    """Read a URL. Raises `ValueError`, whose words show nothing of it."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or parts.fragment:
        raise ValueError("must begin with amqp:// or amqps://")
    account, _, hosts = parts.netloc.rpartition("@")
    user, _, password = account.partition(":")
    options = _options(parts.query)
    if options and parts.scheme != "amqps":
        raise ValueError("cafile, certfile and keyfile are for amqps://")
    if ("certfile" in options) != ("keyfile" in options):
        raise ValueError("certfile and keyfile belong together")
    return AmqpAddress(
        nodes=tuple(_node(host, PORTS[parts.scheme]) for host in hosts.split(",")),
        user=unquote(user) or "guest",
        password=unquote(password) if password else "guest",
        vhost=unquote(parts.path[1:]) or "/",
        is_encrypted=parts.scheme == "amqps",
        **options,
    )


def _node(text: str, port: int) -> tuple[str, int]:
    """A host with or without a port; an IPv6 address stands in brackets."""
    host, _, number = text.rpartition(":") if ":" in text.rpartition("]")[2] else (text, "", str(port))
    host = host.strip().removeprefix("[").removesuffix("]")
    if not host or "/" in host or not (number.isascii() and number.isdigit() and 0 < int(number) <= MAX_PORT):
        raise ValueError("must name a host, or several separated by commas, each with or without a port")
    return host, int(number)


def _options(query: str) -> dict[str, str]:
    given = parse_qsl(query, keep_blank_values=True)
    if any(name not in FILES or not value for name, value in given):
        raise ValueError(f"after the ? only {', '.join(FILES)} may stand, each with the path of a file")
    return dict(given)
