"""Where the server is: one address, from which those of REST and of the socket follow."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit, urlunsplit

SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}  # what may be given, and what it means


@dataclass(frozen=True, slots=True)
class Server:
    """A server by its `http` address, without a slash at the end."""

    url: str

    @property
    def messages_url(self) -> str:
        """Where messages are posted."""
        return f"{self.url}/v1/messages"

    @property
    def socket_url(self) -> str:
        """Where sockets connect."""
        return f"ws{self.url.removeprefix('http')}/v1/connect"

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine, where no proxy is ever needed."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def parse_server(text: str) -> Server:
    """The server at an address. Raises `ValueError` with words for people."""
    try:
        parts = urlsplit(text)
        scheme, host, _ = SCHEMES.get(parts.scheme), parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{text!r} is not an address: {error}") from error
    if scheme is None or not host or _has_more(parts):
        raise ValueError(f"{text!r} is not an address like http://127.0.0.1:8080")
    return Server(urlunsplit((scheme, parts.netloc, parts.path.rstrip("/"), "", "")))


def _has_more(parts: SplitResult) -> bool:
    """Whether there is something in it that an address has no use for: a user, a query, a fragment."""
    return "@" in parts.netloc or bool(parts.query or parts.fragment)


def server_at(host: str, port: int) -> Server:
    """The server that listens on `host` and `port`, as seen from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - all is reached at home
    return Server(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
