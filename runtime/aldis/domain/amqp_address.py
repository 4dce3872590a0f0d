"""The address of a RabbitMQ: one URL, though it may name several nodes.

`amqps://user:password@one:5671,two/vhost?cafile=/run/ca.pem`. No text made from an address shows its password.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

PORTS = {"amqp": 5672, "amqps": 5671}
FILES = ("cafile", "certfile", "keyfile")
MAX_PORT = 65535
_NODE = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?")


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
    # Not by urlsplit: newer Pythons refuse a list of hosts with an IPv6 address in it.
    scheme, _, rest = url.partition("://")
    rest, _, query = rest.partition("?")
    place, _, vhost = rest.partition("/")
    account, _, hosts = place.rpartition("@")
    user, _, password = account.partition(":")
    if scheme not in PORTS or "#" in url:
        raise ValueError("must begin with amqp:// or amqps://, and its password and vhost be percent-encoded")
    options = _options(query)
    if options and scheme != "amqps":
        raise ValueError("cafile, certfile and keyfile are for amqps://")
    if ("certfile" in options) != ("keyfile" in options):
        raise ValueError("certfile and keyfile belong together")
    return AmqpAddress(
        nodes=tuple(_node(host, PORTS[scheme]) for host in hosts.split(",")),
        user=unquote(user) or "guest",
        password=unquote(password) if password else "guest",
        vhost=unquote(vhost) or "/",
        is_encrypted=scheme == "amqps",
        **options,
    )


def _node(text: str, port: int) -> tuple[str, int]:
    """A host with or without a port; an IPv6 address stands in brackets."""
    found = _NODE.fullmatch(text.strip())
    number = int(found["port"] or port) if found is not None else 0
    if found is None or not 0 < number <= MAX_PORT:
        raise ValueError("must name a host, or several separated by commas, each with or without a port")
    return found["address"] or found["name"], number


def _options(query: str) -> dict[str, str]:
    given = parse_qsl(query, keep_blank_values=True)
    if any(name not in FILES or not value for name, value in given):
        raise ValueError(f"after the ? only {', '.join(FILES)} may stand, each with the path of a file")
    return dict(given)
