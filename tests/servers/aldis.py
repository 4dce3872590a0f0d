"""One process of Aldis as a cluster runs it: a gateway or a worker, configured by variables alone."""

import http.client
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from http import HTTPStatus
from pathlib import Path

from servers.guard import Guard
from servers.ports import HOST, free_port
from servers.server import Server
from servers.surroundings import surroundings

ANSWER_SECONDS = 2.0


class AldisServer(Server):
    """A role; it is ready when its probe says so."""

    def __init__(
        self, role: str, variables: Mapping[str, str], *, guard: Guard | None, folder: Path | None = None
    ) -> None:
        """Choose ports."""
        self.name = role
        super().__init__(guard=guard, folder=folder)
        self.port, self.admin_port = free_port(), free_port()
        self._variables = dict(variables)

    @property
    def url(self) -> str:
        """Where clients are taken; a worker has none."""
        return f"http://{HOST}:{self.port}"

    @property
    def admin_url(self) -> str:
        """Where probes, metrics and administration are."""
        return f"http://{HOST}:{self.admin_port}"

    def environment(self) -> Mapping[str, str]:
        """Those of the process that started us but for Aldis's own, and what was given."""
        inherited = surroundings()
        return {**inherited, **self._variables}

    def arguments(self) -> Sequence[str]:
        """The role in the foreground."""
        ports = ["--port", str(self.port)] if self.name == "gateway" else []
        return [
            sys.executable, "-m", "aldis", self.name, "--host", HOST, *ports, "--admin-port", str(self.admin_port),
        ]  # fmt: skip

    def is_ready(self) -> bool:
        """What Kubernetes would ask."""
        return self.ask("/readyz") == HTTPStatus.OK

    def ask(self, path: str) -> int:
        """The status of a GET on the internal port; 0 when nobody answers."""
        with (
            suppress(OSError, http.client.HTTPException),
            closing(http.client.HTTPConnection(HOST, self.admin_port, timeout=ANSWER_SECONDS)) as connection,
        ):
            connection.request("GET", path)
            return connection.getresponse().status
        return 0
