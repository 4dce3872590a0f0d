"""A process on the server's core: started there, waited for until it answers, and always stopped by its pid."""

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

HOST = "127.0.0.1"
SERVER_CORE = 0
GENERATOR_CORE = 1
ALL_CORES = frozenset(range(os.cpu_count() or 1))
READY_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0

Process = subprocess.Popen[bytes]


class ServerFailedError(RuntimeError):
    """A server did not become ready, or ended by itself."""


def pin(core: int) -> None:
    """Keep this process on one core, where there is more than one."""
    if core in os.sched_getaffinity(0):
        os.sched_setaffinity(0, {core})


@contextmanager
def on_cores(cores: Collection[int]) -> Iterator[None]:
    """Have what is started in the block run on these cores, of those that there are."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)  # inherited
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def start_on_server_core(command: Sequence[str], *, log: Path, settings: Mapping[str, str] | None = None) -> Process:
    """Start a command on the server's core, with what it says in `log`; the environment wins over `settings`."""
    with on_cores({SERVER_CORE}), log.open("wb") as output:
        return subprocess.Popen(
            command,
            env={**(settings or {}), **os.environ},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_ready(process: Process, port: int, *, path: str, log: Path) -> None:
    """Wait until `path` answers with 200. Raises `ServerFailedError` with what the process said."""
    deadline = time.monotonic() + READY_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        if get(port, path)[0] == http.HTTPStatus.OK:
            return
        time.sleep(0.1)
    raise ServerFailedError(f"the server did not become ready; it said:\n{log.read_text()[-4000:]}")


def stop(process: Process, pid: int) -> None:
    """End `pid` first, so that a profiler in front of it can write its report, then what is left of the process."""
    if process.poll() is None:
        os.kill(pid, signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_TIMEOUT)


def get(port: int, path: str) -> tuple[int, str]:
    """Return the status and the body of a GET; 0 when nobody answers."""
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
