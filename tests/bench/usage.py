"""CPU seconds and resident memory of a process and its children, as the kernel counts them."""

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
# Of /proc/PID/stat behind the command: user and system time, and those of children that were waited for.
OWN = slice(11, 13)
WITH_ENDED = slice(11, 15)


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds since a process started, and its resident bytes now."""

    cpu_seconds: float
    resident_bytes: int

    def cpu_since(self, earlier: "Usage") -> float:
        """Return the CPU seconds used since `earlier`."""
        return self.cpu_seconds - earlier.cpu_seconds


def read_usage(pid: int, *, is_alone: bool = False) -> Usage:
    """Return what a process uses, and unless it is to be taken alone, its children with it, those that ended too."""
    if is_alone:
        return Usage(_cpu_seconds(pid, OWN), _resident_bytes(pid))
    family = [pid, *descendants(pid)]
    return Usage(sum(_cpu_seconds(member, WITH_ENDED) for member in family), sum(map(_resident_bytes, family)))


def descendants(pid: int) -> list[int]:
    """Return the children of a process, their children, and so on."""
    children: list[int] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children += map(int, thread.read_text().split())
        except OSError:  # the thread ended meanwhile
            continue
    return [found for child in children for found in (child, *descendants(child))]


def _cpu_seconds(pid: int, fields: slice) -> float:
    # The second field is the command in brackets and may hold blanks: count from behind it.
    try:
        told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, told[fields])) / _TICKS


def _resident_bytes(pid: int) -> int:
    # `smaps_rollup` walks the pages; the counters in `stat` are batched per core and can be off by megabytes.
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    resident = next((line for line in rollup.splitlines() if line.startswith("Rss:")), "Rss: 0 kB")
    return int(resident.split()[1]) * 1024
