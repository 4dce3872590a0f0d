"""HAProxy in front of gateways, set as a load balancer for long-lived sockets has to be.

New connections go to the gateway with the fewest; one whose `/readyz` fails gets none, and keeps those that it has; a
socket may be silent for longer than its pings are apart; a request that a gateway never got is tried on another.
"""

import csv
import http.client
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from servers.guard import Guard
from servers.place import choose_account, find_program, write_private
from servers.ports import HOST, free_port
from servers.server import Server

ANSWER_SECONDS = 2.0
NAME = "gateway-"
CONFIG = """\
global
    maxconn 8000
defaults
    mode http
    timeout connect 2s
    timeout client 75s
    timeout server 75s
    timeout tunnel 1h
    timeout http-request 10s
    timeout queue 5s
    timeout check 5s
    retries 2
    retry-on conn-failure empty-response
    option redispatch
    option forwardfor
frontend clients
    bind {host}:{port}
    stats enable
    stats uri /proxy
{administration}    default_backend gateways
backend gateways
    balance leastconn
    option httpchk GET /readyz
    default-server check inter 500ms fall 2 rise 1
{servers}"""


ADMINISTRATION = """\
    use_backend administration if {{ path_beg /v1/admin /metrics }}
"""
ADMIN_BACKEND = """\
backend administration
    balance roundrobin
    option httpchk GET /readyz
    default-server check inter 500ms fall 2 rise 1
{servers}"""


class ProxyServer(Server):
    """A load balancer for these (host, port) pairs."""

    name = "proxy"

    def __init__(
        self, gateways: Sequence[int], *, guard: Guard | None, admin: Sequence[int] = (), folder: Path | None = None
    ) -> None:
        """Choose a port; `gateways` are ports of this machine. Administration is let through to `admin`, if given."""
        super().__init__(guard=guard, account=choose_account("haproxy", "nobody"), folder=folder)
        self.port = free_port()
        self._gateways = gateways
        self._admin = admin

    @property
    def url(self) -> str:
        """Where clients come."""
        return f"http://{HOST}:{self.port}"

    def arguments(self) -> Sequence[str]:
        """In the foreground."""
        administration = ADMINISTRATION.format() if self._admin else ""
        config = CONFIG.format(
            host=HOST, port=self.port, servers=_servers(self._gateways), administration=administration
        )
        if self._admin:
            config += ADMIN_BACKEND.format(servers=_servers(self._admin))
        path = write_private(self.folder / "haproxy.cfg", config, self._account)
        return [str(find_program("haproxy", Path("/usr/sbin"))), "-db", "-f", str(path)]

    def is_ready(self) -> bool:
        """Whether it has found all its gateways to be ready."""
        rows = csv.DictReader(self._figures().lstrip("# ").splitlines())
        states = [row["status"] for row in rows if row["svname"].startswith(NAME)]
        return len(states) == len(self._gateways) + len(self._admin) and all(state == "UP" for state in states)

    def _figures(self) -> str:
        with (
            suppress(OSError, http.client.HTTPException),
            closing(http.client.HTTPConnection(HOST, self.port, timeout=ANSWER_SECONDS)) as connection,
        ):
            connection.request("GET", "/proxy;csv")
            return connection.getresponse().read().decode()
        return ""


def _servers(ports: Sequence[int]) -> str:
    return "".join(f"    server {NAME}{port} {HOST}:{port}\n" for port in ports)
