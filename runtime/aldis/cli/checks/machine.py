"""The machine: its Python, its memory, and how many files a process may open."""

import resource
import sys
from collections.abc import Callable
from pathlib import Path

from aldis.cli.checks.finding import Finding, fail, ok, to_size, warn

OLDEST, TOO_NEW = (3, 11), (3, 14)
LOW_MEMORY_BYTES = 256 * 1024 * 1024  # a server without load, and some thousand devices
FILES_OF_OUR_OWN = 64  # the database, its threads, the log, the listener
MEMORY_STATE = Path("/proc/meminfo")
MEMORY_OF_GROUP = Path("/sys/fs/cgroup")


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """A Python that the tests run on."""
    detail = ".".join(str(part) for part in version)
    if OLDEST <= version < TOO_NEW:
        return ok("python", detail)
    return fail("python", f"{detail} is not supported", "Install Python 3.11, 3.12 or 3.13 and make .venv anew.")


def check_open_files(connections: int, *, limits: Callable[[int], tuple[int, int]] = resource.getrlimit) -> Finding:
    """Each socket is an open file."""
    soft, hard = limits(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return ok("open_files", "no limit")
    detail = f"{soft} for a process started here: room for {max(0, soft - FILES_OF_OUR_OWN)} sockets"
    if soft - FILES_OF_OUR_OWN >= connections:
        return ok("open_files", detail)
    wanted = connections + FILES_OF_OUR_OWN
    way = f"`ulimit -n {wanted}`" if hard == resource.RLIM_INFINITY or wanted <= hard else "the hard limit, then"
    return warn("open_files", f"{detail}, {connections} are expected", f"Raise {way} (systemd: LimitNOFILE={wanted}).")


def check_memory(state: Path = MEMORY_STATE, group: Path = MEMORY_OF_GROUP) -> Finding:
    """What is left of the machine's memory, or of the container's if that is less."""
    left = [size for size in (_available(state), _left_in_group(group)) if size is not None]
    if not left:
        return ok("memory", "not to be seen here")
    detail = f"{to_size(min(left))} available"
    if min(left) >= LOW_MEMORY_BYTES:
        return ok("memory", detail)
    return warn("memory", detail, "End something else, or give the machine or its container more.")


def _available(state: Path) -> int | None:
    try:
        lines = state.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None


def _left_in_group(group: Path) -> int | None:
    limit, used = (_read_number(group / name) for name in ("memory.max", "memory.current"))
    return None if limit is None or used is None else max(0, limit - used)


def _read_number(file: Path) -> int | None:
    """A number; None when the file is not there or says `max`."""
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
