"""The server under test: started on a core of its own with a new data folder, and always stopped."""

import http
import json
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.process import (
    GENERATOR_CORE,
    HOST,
    ServerFailedError,
    free_port,
    get,
    pin,
    start_on_server_core,
    stop,
    wait_ready,
)
from bench.usage import Usage, descendants, read_usage

__all__ = ["GENERATOR_CORE", "HOST", "Server", "ServerFailedError", "open_server", "pin", "raise_file_limit"]

COMMAND_TIMEOUT = 60.0
# The limits stay on, raised so far that the load does not meet them.
RAISED_LIMITS = {
    "ALDIS_LIMITS__MESSAGES_PER_SECOND": "1000000",
    "ALDIS_LIMITS__BURST": "1000000",
    "ALDIS_LIMITS__KEY_MESSAGES_PER_SECOND": "1000000",
    "ALDIS_LIMITS__KEY_BURST": "1000000",
    "ALDIS_LIMITS__EXEMPT_LOOPBACK": "true",  # all devices come from one address
}


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    pid: int
    port: int
    folder: Path

    @property
    def secret(self) -> str:
        """Return what user tokens are signed with."""
        return (self.folder / "secret").read_text().strip()

    @property
    def database(self) -> Path:
        """Return the file that holds all of it."""
        return self.folder / "aldis.db"

    @property
    def url(self) -> str:
        """Return where sockets connect."""
        return f"ws://{HOST}:{self.port}/v1/connect"

    def usage(self) -> Usage:
        """Return its CPU seconds and memory."""
        return read_usage(self.pid)

    def metrics(self) -> str:
        """Return its metrics as they are now, or nothing when it has none."""
        status, body = get(self.port, "/metrics")
        return body if status == http.HTTPStatus.OK else ""

    def make_key(self) -> str:
        """Return a backend's key for all channels."""
        return self._aldis("key", "create", "bench").strip()

    def apply_channel(self, name: str, spec: dict[str, object]) -> None:
        """Declare a channel as an operator does."""
        document = {"apiVersion": "aldis.dev/v1alpha1", "kind": "Channel", "metadata": {"name": name}, "spec": spec}
        file = self.folder / f"{name}.channel.json"
        file.write_text(json.dumps(document))  # JSON is YAML
        self._aldis("channel", "apply", str(file))

    def _aldis(self, *words: str) -> str:
        command = [sys.executable, "-m", "aldis", *words, "--data-dir", str(self.folder)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT, check=False)
        if ended.returncode:
            raise ServerFailedError(f"aldis {' '.join(words)}: {ended.stderr.strip()}")
        return ended.stdout


def raise_file_limit() -> int:
    """Allow this process and those it starts as many open files as the system lets it, and return the number."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


@contextmanager
def open_server(*, prefix: str, log: Path) -> Iterator[Server]:
    """Run a server for as long as the block lasts; `prefix` goes in front of its command, for a profiler."""
    folder = Path(tempfile.mkdtemp(prefix="aldis-bench-"))
    port = free_port()
    serve = [sys.executable, "-m", "aldis", "serve", "--host", HOST, "--port", str(port), "--data-dir", str(folder)]
    process = start_on_server_core([*shlex.split(prefix), *serve], log=log, settings=RAISED_LIMITS)
    try:
        wait_ready(process, port, path="/readyz", log=log)
        yield Server(_server_pid(process.pid), port, folder)
    finally:
        stop(process, _server_pid(process.pid))
        shutil.rmtree(folder, ignore_errors=True)


def _server_pid(started: int) -> int:
    """Return the pid of the server itself, which behind a prefix is a child of what was started."""
    for pid in reversed(descendants(started)):
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if arguments[1:4] == [b"-m", b"aldis", b"serve"]:
            return pid
    return started
