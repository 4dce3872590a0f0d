"""The peer of B3: Centrifuge, the library that Centrifugo 6 is made of, in a server of its own (`peer/main.go`).

It is built once, with the Go compiler that is found, and kept in the user's cache. Where there is no compiler, or its
modules cannot be had, the scenario goes on without a peer and says why.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.process import HOST, free_port, start_on_server_core, stop, wait_ready
from bench.usage import Usage, read_usage

SOURCE = Path(__file__).parent / "peer"
BUILD_TIMEOUT = 900.0
GO_ELSEWHERE = Path("/usr/local/go/bin/go")  # where Go's own installer puts it
CHANNEL = "news"


class NoPeerError(RuntimeError):
    """The peer could not be built; the message says why."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A running peer."""

    pid: int
    port: int

    def usage(self) -> Usage:
        """Return its CPU seconds and memory."""
        return read_usage(self.pid)

    def parts(self) -> Mapping[str, Usage]:
        """Return the one process."""
        return {"server": self.usage()}


@contextmanager
def open_peer(binary: Path, *, log: Path) -> Iterator[Peer]:
    """Run the peer, pinned as our server is, for as long as the block lasts."""
    port = free_port()
    process = start_on_server_core([str(binary), "-address", f"{HOST}:{port}"], log=log, settings={"GOMAXPROCS": "1"})
    try:
        wait_ready(process, port, path="/health", log=log)
        yield Peer(process.pid, port)
    finally:
        stop(process, process.pid)


def build_peer() -> Path:
    """Return the peer's program, built if this version of it has not been. Raises `NoPeerError`."""
    binary = _cache() / f"centrifuge-{peer_version()}" / f"peer-{_fingerprint()}"
    if binary.exists():
        return binary
    go = shutil.which("go") or (str(GO_ELSEWHERE) if GO_ELSEWHERE.exists() else None)
    if go is None:
        raise NoPeerError("there is no Go compiler to build it with")
    binary.parent.mkdir(parents=True, exist_ok=True)
    command = ["nice", go, "build", "-o", str(binary), "."]
    try:
        built = subprocess.run(
            command, cwd=SOURCE, capture_output=True, text=True, timeout=BUILD_TIMEOUT, check=False,
            env={**os.environ, "CGO_ENABLED": "0"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise NoPeerError(f"building it took more than {BUILD_TIMEOUT:.0f} s") from None
    if built.returncode:
        raise NoPeerError(f"it does not build: {built.stderr.strip()[-500:]}")
    return binary


def peer_version() -> str:
    """Return the version of the library."""
    found = re.search(r"centrifugal/centrifuge (v\S+)", (SOURCE / "go.mod").read_text())
    assert found is not None, "go.mod names the library"
    return found[1]


def _fingerprint() -> str:
    sources = b"".join((SOURCE / name).read_bytes() for name in ("main.go", "go.mod", "go.sum"))
    return hashlib.sha256(sources).hexdigest()[:12]


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aldis"
