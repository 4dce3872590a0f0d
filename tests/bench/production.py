"""A production in small under test: PostgreSQL, RabbitMQ and Redis, real ones, gateways, and a worker.

Every commit is synced to the disk. Gateways run on the server's core, as `aldis serve` does; the worker and the servers
take either. A queue is bound to the events, so RabbitMQ has to keep each of them, as it has where somebody wants them.
"""

import os
import re
import secrets
import shlex
import shutil
import signal
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from subprocess import TimeoutExpired
from typing import TypeVar

from bench.database import Database, PostgresDatabase
from bench.process import ALL_CORES, SERVER_CORE, STOP_TIMEOUT, ServerFailedError, on_cores
from bench.server import RAISED_LIMITS, Server, read_metrics, run_aldis, server_pid, socket_url
from bench.usage import Usage, read_usage
from clustered import Servers
from servers.aldis import AldisServer
from servers.guard import Guard
from servers.place import ServerFailed
from servers.postgres import PostgresServer
from servers.rabbitmq import RabbitServer
from servers.redis import RedisServer
from servers.server import Server as Process
from servers.surroundings import surroundings

Named = TypeVar("Named", bound=AldisServer)

TEMPLATE = "bench"
EVENTS_KEPT = 100_000  # batches of them that nobody has taken yet; then the oldest go
DATABASE_URL, RABBITMQ_URL = "ALDIS_DATABASE_URL", "ALDIS_RABBITMQ_URL"


class ProductionServer(Server):
    """Processes that share a database. `usage` is that of the gateways, `pid`, `port` and `url` are the first one's."""

    def __init__(self, servers: Servers, *, gateways: int, prefix: str) -> None:
        """Plan it on these servers; nothing of ours runs before `begin_anew`."""
        self.folder = Path(tempfile.mkdtemp(prefix="aldis-bench-"))
        self._servers = servers
        self._gateway_count = gateways
        self._prefix = shlex.split(prefix)
        self._secret = secrets.token_urlsafe(32)
        self._variables: dict[str, str] = {}
        self._part: Mapping[str, str] = {}
        self._gateways: list[Gateway] = []
        self._workers: list[AldisServer] = []

    @property
    def pid(self) -> int:
        """Return the first gateway."""
        return self._gateways[0].own_pid

    @property
    def port(self) -> int:
        """Return where the first gateway takes clients."""
        return self._gateways[0].port

    @property
    def urls(self) -> Sequence[str]:
        """Return where sockets connect, for each gateway."""
        return [socket_url(gateway.port) for gateway in self._gateways]

    @property
    def secret(self) -> str:
        """Return what all were told."""
        return self._secret

    @property
    def database(self) -> Database:
        """Return the database of these processes."""
        return PostgresDatabase(self._servers.postgres, self._part[DATABASE_URL].rpartition("/")[2])

    def usage(self) -> Usage:
        """Return CPU seconds and memory of all gateways."""
        each = [read_usage(gateway.own_pid) for gateway in self._gateways]
        return Usage(sum(usage.cpu_seconds for usage in each), sum(usage.resident_bytes for usage in each))

    def parts(self) -> Mapping[str, Usage]:
        """Return those of ours and of the three that they stand on."""
        stores = (self._servers.postgres, self._servers.rabbitmq, self._servers.redis)
        return {
            **{name: read_usage(gateway.own_pid) for name, gateway in _numbered("gateway", self._gateways)},
            **{name: read_usage(worker.pid) for name, worker in _numbered("worker", self._workers)},
            **{store.name: read_usage(store.pid) for store in stores},
        }

    def metrics(self) -> str:
        """Return those of each, one after the other."""
        named = [*_numbered("gateway", self._gateways), *_numbered("worker", self._workers)]
        return "\n".join(f"# {name}\n{read_metrics(process.admin_port)}" for name, process in named)

    def versions(self) -> Mapping[str, str]:
        """Ask the three."""
        redis = re.search(r"redis_version:(\S+)", str(self._servers.redis.ask("INFO server")[0]))
        return {
            "postgres": self._servers.postgres.execute("SHOW server_version"),
            "rabbitmq": self._servers.rabbitmq.ask("GET", "overview")["rabbitmq_version"],
            "redis": redis[1] if redis else "unknown",
        }

    def aldis(self, *words: str) -> str:
        """Run it on the same database."""
        return run_aldis(*words, env=surroundings() | self._variables)

    def begin_anew(self, *, workers: int = 1, is_bound: bool = True, limits: Mapping[str, str] | None = None) -> None:
        """End what runs and start as much on empty stores, with no worker if wanted, and with other limits."""
        self._end()
        self._part = self._servers.part()
        given = {name: value for name, value in os.environ.items() if name.startswith("ALDIS_")}
        self._variables = {**RAISED_LIMITS, **given, **(limits or {}), **self._part, "ALDIS_JWT__SECRET": self._secret}
        if is_bound:
            self._bind_events()
        guard = self._servers.guard
        self._gateways = [
            Gateway(self._variables, prefix=self._prefix, guard=guard) for _ in range(self._gateway_count)
        ]
        self._workers = [AldisServer("worker", self._variables, guard=guard) for _ in range(workers)]
        _all_at_once(
            *(partial(_start_on, {SERVER_CORE}, gateway) for gateway in self._gateways),
            *(partial(_start_on, ALL_CORES, worker) for worker in self._workers),
        )

    def said(self) -> str:
        """Return what those that run now have logged."""
        return "\n".join(process.said() for process in (*self._gateways, *self._workers))

    def close(self) -> None:
        """End all of ours, and remove the files."""
        self._end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self) -> None:
        processes = (*self._gateways, *self._workers)
        _all_at_once(*(process.stop for process in processes))
        for process in processes:
            process.close()
        self._gateways, self._workers = [], []
        if self._part:
            self._servers.give_back(self._part)
            self._part = {}

    def _bind_events(self) -> None:
        """Keep all events, in a queue as the documentation advises."""
        ask, vhost = self._servers.rabbitmq.ask, self._part[RABBITMQ_URL].rpartition("/")[2]
        ask("PUT", f"exchanges/{vhost}/aldis.events", {"type": "topic", "durable": True})
        arguments = {"x-queue-type": "quorum", "x-max-length": EVENTS_KEPT}
        ask("PUT", f"queues/{vhost}/bench.events", {"durable": True, "arguments": arguments})
        ask("POST", f"bindings/{vhost}/e/aldis.events/q/bench.events", {"routing_key": "message.#"})


class Gateway(AldisServer):
    """A gateway, with a profiler in front of it if wanted."""

    def __init__(self, variables: Mapping[str, str], *, prefix: Sequence[str], guard: Guard | None) -> None:
        """Choose ports."""
        super().__init__("gateway", variables, guard=guard)
        self._prefix = prefix

    @property
    def own_pid(self) -> int:
        """Return the gateway itself, which behind a prefix is a child of what was started."""
        return server_pid(self.pid, "gateway")

    def arguments(self) -> Sequence[str]:
        """Put the prefix in front."""
        return [*self._prefix, *super().arguments()]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the gateway first, so that the profiler can write its report."""
        if self._prefix and self._process is not None and self.is_running:
            os.kill(self.own_pid, number)
            with suppress(TimeoutExpired):
                self._process.wait(STOP_TIMEOUT)
        super().stop(number)


@contextmanager
def open_production(*, gateways: int, prefix: str, log: Path) -> Iterator[ProductionServer]:
    """Run all of it for as long as the block lasts; `prefix` goes in front of the gateways' command."""
    try:
        with ExitStack() as stack:
            server = ProductionServer(_open_servers(stack), gateways=gateways, prefix=prefix)
            stack.callback(server.close)
            stack.callback(lambda: log.write_text(server.said()))
            server.begin_anew()
            yield server
    except ServerFailed as failure:
        raise ServerFailedError(str(failure)) from failure


def _open_servers(stack: ExitStack) -> Servers:
    """Start the three, and make the tables once, for all databases to be copies."""
    guard = stack.enter_context(Guard())
    postgres, rabbitmq, redis = PostgresServer(guard=guard), RabbitServer(guard=guard), RedisServer(guard=guard)
    for server in (postgres, rabbitmq, redis):
        stack.callback(server.close)

    def make_tables() -> None:
        _start_on(ALL_CORES, postgres)
        url = postgres.create_database(TEMPLATE)
        with on_cores(ALL_CORES):
            run_aldis("migrate", env=surroundings() | {DATABASE_URL: url})

    _all_at_once(make_tables, partial(_start_on, ALL_CORES, rabbitmq), partial(_start_on, ALL_CORES, redis))
    return Servers(guard, postgres, rabbitmq, redis, TEMPLATE)


def _start_on(cores: Collection[int], process: Process) -> None:
    with on_cores(cores):
        process.start()


def _all_at_once(*actions: Callable[[], None]) -> None:
    """Do all of it, each in a thread: what cores a thread may use is its own, and what it starts inherits them."""
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(action) for action in actions]:
            done.result()


def _numbered(role: str, processes: Sequence[Named]) -> list[tuple[str, Named]]:
    """Return the processes with their names, which have a number where there are several."""
    if len(processes) == 1:
        return [(role, processes[0])]
    return [(f"{role} {number}", process) for number, process in enumerate(processes, start=1)]
