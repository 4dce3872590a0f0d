"""The server under test: started on a core of its own with a new data folder, and always stopped."""

import http
import json
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.database import Database, SqliteDatabase
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


class Server(ABC):
    """A running server, whatever it stands on."""

    folder: Path  # for files that are gone with it

    @property
    @abstractmethod
    def port(self) -> int:
        """Return the port that clients are taken on."""

    @property
    @abstractmethod
    def secret(self) -> str:
        """Return what user tokens are signed with."""

    @property
    @abstractmethod
    def database(self) -> Database:
        """Return where all of it is stored."""

    @property
    def url(self) -> str:
        """Return where sockets connect."""
        return socket_url(self.port)

    def usage(self) -> Usage:
        """Return CPU seconds and memory of what clients are connected to."""
        return read_usage(self.pid)

    @property
    @abstractmethod
    def pid(self) -> int:
        """Return the process that clients are connected to."""

    @abstractmethod
    def parts(self) -> Mapping[str, Usage]:
        """Return CPU seconds and memory of each process that has a share in it, by what it is."""

    @abstractmethod
    def metrics(self) -> str:
        """Return its metrics as they are now, or nothing when it has none."""

    @abstractmethod
    def versions(self) -> Mapping[str, str]:
        """Return the versions of the servers that it stands on."""

    @abstractmethod
    def aldis(self, *words: str) -> str:
        """Run `aldis …` beside it and return what is printed. Raises `ServerFailedError`."""

    def make_key(self) -> str:
        """Return a backend's key for all channels."""
        return self.aldis("key", "create", "bench").strip()

    def apply_channel(self, name: str, spec: Mapping[str, object]) -> None:
        """Declare a channel as an operator does."""
        document = {"apiVersion": "aldis.dev/v1alpha1", "kind": "Channel", "metadata": {"name": name}, "spec": spec}
        file = self.folder / f"{name}.channel.json"
        file.write_text(json.dumps(document))  # JSON is YAML
        self.aldis("channel", "apply", str(file))


class EmbeddedServer(Server):
    """`aldis serve` on a data folder: one process that is all of it."""

    def __init__(self, *, pid: int, port: int, folder: Path) -> None:
        """Know a process that runs."""
        self._pid = pid
        self._port = port
        self.folder = folder

    @property
    def pid(self) -> int:
        """Return the process."""
        return self._pid

    @property
    def port(self) -> int:
        """Return its one port."""
        return self._port

    @property
    def secret(self) -> str:
        """Return the data folder's secret."""
        return (self.folder / "secret").read_text().strip()

    @property
    def database(self) -> Database:
        """Return the file that holds all of it."""
        return SqliteDatabase(self.folder / "aldis.db")

    def parts(self) -> Mapping[str, Usage]:
        """Return the one."""
        return {"server": self.usage()}

    def metrics(self) -> str:
        """Return what the one port says."""
        return read_metrics(self.port)

    def versions(self) -> Mapping[str, str]:
        """Return none: it stands on nothing."""
        return {}

    def aldis(self, *words: str) -> str:
        """Run it on the data folder."""
        return run_aldis(*words, "--data-dir", str(self.folder))


def socket_url(port: int) -> str:
    """Return where sockets connect to a server on this port."""
    return f"ws://{HOST}:{port}/v1/connect"


def read_metrics(port: int) -> str:
    """Return the metrics that are served on a port, or nothing when there are none."""
    status, body = get(port, "/metrics")
    return body if status == http.HTTPStatus.OK else ""


def run_aldis(*words: str, env: Mapping[str, str] | None = None) -> str:
    """Run `aldis …` and return what is printed. Raises `ServerFailedError`."""
    command = [sys.executable, "-m", "aldis", *words]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT, check=False, env=env)
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
        yield EmbeddedServer(pid=server_pid(process.pid, "serve"), port=port, folder=folder)
    finally:
        stop(process, server_pid(process.pid, "serve"))
        shutil.rmtree(folder, ignore_errors=True)


def server_pid(started: int, role: str) -> int:
    """Return the pid of `aldis ROLE` itself, which behind a prefix is a child of what was started."""
    for pid in reversed(descendants(started)):
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if arguments[1:4] == [b"-m", b"aldis", role.encode()]:
            return pid
    return started
