"""The server under test: started on a core of its own with a new data folder, and always stopped by its pid."""

import http.client
import os
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.usage import Usage, descendants, read_usage

HOST = "127.0.0.1"
SERVER_CORE = 0
GENERATOR_CORE = 1
READY_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0
# The limits stay on, raised so far that the load does not meet them.
RAISED_LIMITS = {"ALDIS_LIMITS__MESSAGES_PER_SECOND": "1000000", "ALDIS_LIMITS__BURST": "1000000"}


class ServerFailedError(RuntimeError):
    """The server did not become ready, or ended by itself."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    pid: int
    port: int
    secret: str

    @property
    def url(self) -> str:
        """Return where sockets connect."""
        return f"ws://{HOST}:{self.port}/v1/connect"

    def usage(self) -> Usage:
        """Return its CPU seconds and memory."""
        return read_usage(self.pid)

    def metrics(self) -> str:
        """Return its metrics as they are now, or nothing when it has none."""
        status, body = _get(self.port, "/metrics")
        return body if status == http.HTTPStatus.OK else ""


def raise_file_limit() -> int:
    """Allow this process and those it starts as many open files as the system lets it, and return the number."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def pin(core: int) -> None:
    """Keep this process on one core, where there is more than one."""
    if core in os.sched_getaffinity(0):
        os.sched_setaffinity(0, {core})


@contextmanager
def open_server(*, prefix: str, log: Path) -> Iterator[Server]:
    """Run a server for as long as the block lasts; `prefix` goes in front of its command, for a profiler."""
    folder = Path(tempfile.mkdtemp(prefix="aldis-bench-"))
    port = _free_port()
    serve = [sys.executable, "-m", "aldis", "serve", "--host", HOST, "--port", str(port), "--data-dir", str(folder)]
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {SERVER_CORE})  # inherited by the server
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*shlex.split(prefix), *serve],
                env={**RAISED_LIMITS, **os.environ},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    finally:
        os.sched_setaffinity(0, cores)
    try:
        _wait_ready(process, port, log)
        yield Server(_server_pid(process.pid), port, (folder / "secret").read_text().strip())
    finally:
        _stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if _get(port, "/readyz")[0] == http.HTTPStatus.OK:
            return
        time.sleep(0.1)
    raise ServerFailedError(f"the server did not become ready; it said:\n{log.read_text()[-4000:]}")


def _get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


def _server_pid(started: int) -> int:
    """Return the pid of the server itself, which behind a prefix is a child of what was started."""
    for pid in reversed(descendants(started)):
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if arguments[1:4] == [b"-m", b"aldis", b"serve"]:
            return pid
    return started


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server first, so that a profiler in front of it can write its report, then what is left of it."""
    if process.poll() is None:
        os.kill(_server_pid(process.pid), signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_TIMEOUT)
