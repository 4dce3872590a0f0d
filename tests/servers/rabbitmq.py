"""RabbitMQ: one node with its own port mapper (epmd), cookie and home, on private ports.

The management plugin is on: its HTTP API makes a virtual host in milliseconds, where `rabbitmqctl` takes a second.
"""

import base64
import http.client
import json
import secrets
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from servers.guard import Guard
from servers.place import find_program, write_private
from servers.ports import HOST, free_port
from servers.server import Server, wait_until

USER = "aldis"
ANSWER_SECONDS = 10.0
PROGRAMS = Path("/usr/lib/rabbitmq/bin")  # the one on PATH may be Debian's wrapper, which changes accounts

CONFIG = """\
listeners.tcp.1 = {host}:{port}
management.tcp.ip = {host}
management.tcp.port = {api_port}
default_user = {user}
default_pass = {password}
default_vhost = /
loopback_users = none
disk_free_limit.absolute = 50MB
vm_memory_high_watermark.absolute = 1GB
log.console = true
log.console.level = info
log.file = false
"""
ERLANG = "-noinput -kernel inet_dist_use_interface {127,0,0,1} +S 2:2"


class RabbitServer(Server):
    """A RabbitMQ node. Queues survive `kill` and `start`, as they do in production."""

    name = "rabbitmq"

    def __init__(self, *, guard: Guard | None, folder: Path | None = None) -> None:
        """Choose ports and password."""
        super().__init__(guard=guard, folder=folder)
        self.port, self.api_port, self._node_port, self._mapper_port = (free_port() for _ in range(4))
        self.password = secrets.token_urlsafe(12)
        self._mapper: subprocess.Popen[bytes] | None = None
        self._vhosts = 0

    @property
    def url(self) -> str:
        """Where its virtual host `/` is."""
        return self.url_of("%2F")

    @property
    def api_url(self) -> str:
        """Where its management API is; same account."""
        return f"http://{HOST}:{self.api_port}/api"

    def url_of(self, vhost: str) -> str:
        """Where a virtual host is."""
        return f"amqp://{USER}:{self.password}@{HOST}:{self.port}/{vhost}"

    def create_vhost(self) -> str:
        """Make a virtual host that nobody else was given; gives its URL."""
        self._vhosts += 1
        name = f"test-{self._vhosts}"
        self.ask("PUT", f"vhosts/{name}")
        return self.url_of(name)

    def drop_vhost(self, url: str) -> None:
        """Drop a virtual host, whoever is connected to it."""
        self.ask("DELETE", f"vhosts/{url.rpartition('/')[2]}")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Call the management API. Raises `OSError` when it refuses or does not answer."""
        account = base64.b64encode(f"{USER}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {account}", "Content-Type": "application/json"}
        with closing(http.client.HTTPConnection(HOST, self.api_port, timeout=ANSWER_SECONDS)) as api:
            api.request(method, f"/api/{path}", None if body is None else json.dumps(body), headers)
            answer = api.getresponse()
            text = answer.read()
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise OSError(f"{method} {path} was answered with {answer.status}: {text.decode()}")
        return json.loads(text or b"null")

    def environment(self) -> Mapping[str, str]:
        """Nothing of the system's own node: names, files and ports are ours."""
        folder = str(self.folder)
        return {
            **super().environment(),
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_CRASH_DUMP_SECONDS": "0",
            "RABBITMQ_ALLOW_INPUT": "1",  # no shell between us and the node; -noinput is among our own arguments
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/rabbitmq-env.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{folder}/advanced.config",
            "RABBITMQ_DIST_PORT": str(self._node_port),
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_NODENAME": f"aldis-{self.port}@localhost",
            "RABBITMQ_PID_FILE": f"{folder}/rabbitmq.pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERLANG,
        }

    def arguments(self) -> Sequence[str]:
        """The node; with the password in a file, as a command line is read by everybody."""
        text = CONFIG.format(host=HOST, port=self.port, api_port=self.api_port, user=USER, password=self.password)
        write_private(self.folder / "rabbitmq.conf", text, self._account)
        write_private(self.folder / "enabled_plugins", "[rabbitmq_management].\n", self._account)
        return [str(find_program("rabbitmq-server", PROGRAMS))]

    def start(self) -> None:
        """Start the port mapper first: a node would start one that outlives it."""
        if self._mapper is None or self._mapper.poll() is not None:
            self._mapper = self.spawn([str(find_program("epmd")), "-address", HOST, "-port", str(self._mapper_port)])
            wait_until(self._is_mapping, "epmd to listen", lambda: self._mapper is None, self.said)
        super().start()

    def is_ready(self) -> bool:
        """Whether it speaks AMQP and its API answers."""
        with suppress(OSError, http.client.HTTPException):
            with socket.create_connection((HOST, self.port), ANSWER_SECONDS) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                if not connection.recv(1):
                    return False
            self.ask("GET", "whoami")
            return True
        return False

    def close(self) -> None:
        """Take the port mapper along."""
        if self._mapper is not None:
            self._end(self._mapper)
        super().close()

    def _is_mapping(self) -> bool:
        with suppress(OSError), socket.create_connection((HOST, self._mapper_port), ANSWER_SECONDS):
            return True
        return False
