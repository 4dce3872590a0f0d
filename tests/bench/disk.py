"""What one sync of the disk takes by itself, just before a run: no commit can be faster, and it wanders most of all."""

import os
import tempfile
from time import perf_counter, sleep

from bench.figures import Figure, percentile

WRITES = 100
BLOCK = bytes(8192)  # a page of PostgreSQL
PAUSE = 0.002


def measure_disk(column: str) -> list[Figure]:
    """Write and sync where the servers keep their data, again and again; it takes less than a second."""
    taken: list[float] = []
    with tempfile.TemporaryFile() as file:
        for number in range(WRITES):
            started = perf_counter()
            os.pwrite(file.fileno(), BLOCK, number * len(BLOCK))
            os.fdatasync(file.fileno())
            taken.append((perf_counter() - started) * 1000)
            sleep(PAUSE)
    return [
        Figure(name="disk sync p50", unit="ms", column=column, value=percentile(taken, 0.50)),
        Figure(name="disk sync p99", unit="ms", column=column, value=percentile(taken, 0.99)),
    ]
