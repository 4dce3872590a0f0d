"""What every scenario is given and gives: sizes come from the scenario, the rest from the command line."""

import asyncio
import gc
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Protocol

from bench import tokens
from bench.client import Seat
from bench.figures import Across, Figure, Target
from bench.frames import build_connect
from bench.ledger import Role
from bench.server import Server
from bench.usage import Usage, read_usage

HANDSHAKES_AT_ONCE = 200
POLL = 0.01  # seconds
MEGABYTE = 1e6
GENERATOR = "generator"
STORES = ("postgres", "rabbitmq", "redis")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says."""

    quick: bool = False
    rates: tuple[int, ...] = ()  # instead of the stated ones, without the search


Measure = Callable[[Server, Options], Coroutine[None, None, list[Figure]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A named measurement on a server of its own."""

    name: str
    title: str
    measure: Measure
    gateways: int = 0  # on production stores; 0 is one process on the embedded ones


def on_production(scenario: Scenario) -> Scenario:
    """Return the same scenario on production stores with one gateway, named `B3P` after `B3`."""
    title = f"{scenario.title}, on production stores"
    return replace(scenario, name=f"{scenario.name}P", title=title, gateways=1)


def take_seat(user: str, device: str, *, role: Role, secret: str) -> Seat:
    """Sign a token for the user and prepare the first frame of one device."""
    return Seat(user, role, build_connect(token=tokens.sign(user, secret=secret), device=device))


async def wait_until(is_done: Callable[[], bool], *, seconds: float) -> bool:
    """Wait for a condition, `seconds` at most, and tell whether it came true."""
    deadline = perf_counter() + seconds
    while not is_done():
        if perf_counter() >= deadline:
            return False
        await asyncio.sleep(POLL)
    return True


async def wait_while_moving(
    is_done: Callable[[], bool], *, progress: Callable[[], int], still: float, most: float
) -> None:
    """Wait for a condition for as long as `progress` moves at least every `still` seconds, `most` in all."""
    end = perf_counter() + most
    seen, moved = progress(), perf_counter()
    while not is_done() and perf_counter() < min(end, moved + still):
        await asyncio.sleep(POLL)
        if progress() != seen:
            seen, moved = progress(), perf_counter()


@contextmanager
def no_collector() -> Iterator[None]:
    """Keep Python's collector from stopping the generator while latencies are taken."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


class Measured(Protocol):
    """A server whose use of the machine can be told."""

    def usage(self) -> Usage:
        """Return its CPU seconds and memory."""
        ...

    def parts(self) -> Mapping[str, Usage]:
        """Return those of each process that has a share in it."""
        ...


class Meter:
    """CPU seconds of each process of the server, and of the generator, since the meter was made."""

    def __init__(self, server: Measured) -> None:
        """Begin to measure."""
        self._started = perf_counter()
        self._server = server
        self._server_before = server.usage()
        self._parts_before = server.parts()
        self._own_before = read_usage(os.getpid(), is_alone=True)

    def server_cpu(self) -> float:
        """Return the CPU seconds so far of what clients are connected to."""
        return self._server.usage().cpu_since(self._server_before)

    def cpu(self) -> dict[str, float]:
        """Return the CPU seconds so far of each process, by what it is."""
        parts = self._server.parts()
        cpu = {name: usage.cpu_since(self._parts_before[name]) for name, usage in parts.items()}
        return {**cpu, GENERATOR: self._own_cpu()}

    def own_share(self) -> float:
        """Return how much of the time the generator has been busy: near 1 it would be the limit."""
        return self._own_cpu() / (perf_counter() - self._started)

    def figures(self, column: str = "measured") -> list[Figure]:
        """Return the CPU of each, and the memory of ours: PostgreSQL's processes share theirs."""
        resident = {name: usage.resident_bytes / MEGABYTE for name, usage in self._server.parts().items()}
        return [
            *(Figure(name=f"{name} CPU", unit="s", column=column, value=cpu) for name, cpu in self.cpu().items()),
            *(
                Figure(name=f"{name} RSS", unit="MB", column=column, value=megabytes)
                for name, megabytes in resident.items()
                if name not in STORES
            ),
        ]

    def _own_cpu(self) -> float:
        return read_usage(os.getpid(), is_alone=True).cpu_since(self._own_before)


def tell(line: str) -> None:
    """Show progress to whoever waits for the table."""
    print(line, file=sys.stderr, flush=True)


def never(name: str, value: float, column: str = "measured") -> Figure:
    """Return a count that has to be 0, told as the worst of all runs."""
    return Figure(name=name, column=column, value=value, target=Target(limit=0), across=Across.WORST)


def seats_of(kind: str, count: int, *, device: str, role: Role, secret: str) -> list[Seat]:
    """Return a seat for the same-named device of each of `count` users of a kind."""
    users = [f"{kind}-{number:05d}" for number in range(count)]
    return [take_seat(user, f"{user}-{device}", role=role, secret=secret) for user in users]
