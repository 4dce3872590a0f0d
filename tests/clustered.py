"""A production in small for tests, with the face of `served.Server`: two gateways, a worker, and a proxy before them.

    async with clustered(servers, tmp_path) as server:
        ...server.url, server.ws_url, server.token("alice"), await server.kill(), await server.start()

The servers below (PostgreSQL, RabbitMQ, Redis) are the run's own; database, virtual host and Redis database are this
cluster's. `kill` ends one process at random with SIGKILL, and `start` starts what does not run. With `--cluster`, every
test that asks for `served` gets one of these.
"""

import asyncio
import os
import random
import secrets
import signal
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aldis.settings import Settings, load_settings
from served import HOME, OPEN_THROTTLE, Server
from servers.aldis import AldisServer
from servers.guard import Guard
from servers.postgres import PostgresServer
from servers.proxy import ProxyServer
from servers.rabbitmq import RabbitServer
from servers.redis import RedisServer
from servers.server import wait_until
from servers.surroundings import surroundings

GATEWAYS = 2


@dataclass(frozen=True, slots=True)
class Servers:
    """What clusters stand on. Each cluster gets its own part of them."""

    guard: Guard
    postgres: PostgresServer
    rabbitmq: RabbitServer
    redis: RedisServer
    template: str  # a database with our tables

    def part(self) -> dict[str, str]:
        """The variables of a new cluster's own database, virtual host and Redis database."""
        return {
            "ALDIS_DATABASE_URL": self.postgres.create_database(template=self.template),
            "ALDIS_RABBITMQ_URL": self.rabbitmq.create_vhost(),
            "ALDIS_REDIS_URL": self.redis.fresh_url(),
        }

    def give_back(self, variables: Mapping[str, str]) -> None:
        """Remove what was a cluster's."""
        self.rabbitmq.drop_vhost(variables["ALDIS_RABBITMQ_URL"])
        self.postgres.drop_database(variables["ALDIS_DATABASE_URL"])


class Cluster(Server):
    """Processes that share a database. Make it with `clustered`."""

    def __init__(self, folder: Path, guard: Guard, variables: Mapping[str, str]) -> None:
        """Plan it; nothing runs yet."""
        self.data_dir = folder / "data"  # for files of the tests; no process of ours keeps any
        self.data_dir.mkdir(exist_ok=True)
        self._secret = secrets.token_urlsafe(32)
        self.variables = {"ALDIS_JWT__SECRET": self._secret, "ALDIS_TRUSTED_PROXIES": "127.0.0.1", **variables}
        self._env = surroundings()
        self._env |= self.variables
        self.gateways = [AldisServer("gateway", self.variables, guard=guard) for _ in range(GATEWAYS)]
        self.worker = AldisServer("worker", self.variables, guard=guard)
        self.proxy = ProxyServer(
            [gateway.port for gateway in self.gateways], admin=[g.admin_port for g in self.gateways], guard=guard
        )
        self.port = self.proxy.port

    @property
    def processes(self) -> Sequence[AldisServer]:
        """All of Aldis."""
        return (*self.gateways, self.worker)

    @property
    def pid(self) -> int:
        """The first gateway's."""
        return self.gateways[0].pid

    @property
    def is_running(self) -> bool:
        """Whether all of it runs."""
        return all(process.is_running for process in self.processes)

    @property
    def secret(self) -> str:
        """What user tokens are signed with."""
        return self._secret

    @property
    def own_port(self) -> int:
        """The first gateway's."""
        return self.gateways[0].port

    @property
    def own_urls(self) -> Sequence[str]:
        """The gateways'."""
        return [gateway.url for gateway in self.gateways]

    @property
    def command_options(self) -> Sequence[str]:
        """None: variables say where the cluster is."""
        return ()

    def settings(self) -> Settings:
        """What a command beside the running processes works with."""
        given = {"database_url": "ALDIS_DATABASE_URL", "redis_url": "ALDIS_REDIS_URL"}
        return load_settings(**{name: self.variables[variable] for name, variable in given.items()})

    async def start(self) -> None:
        """Start what does not run, all at once, and wait until it is ready."""
        idle = [process for process in self.processes if not process.is_running]
        await asyncio.gather(*(asyncio.to_thread(process.start) for process in idle))
        await asyncio.to_thread(self._wait_for_proxy)

    def _wait_for_proxy(self) -> None:
        if not self.proxy.is_running:
            self.proxy.start()
        wait_until(self.proxy.is_ready, "the proxy to find the gateways", lambda: False, self.proxy.said)

    async def kill(self, process: AldisServer | None = None) -> None:
        """End one process with SIGKILL: the one that is given, or any."""
        victim = process or random.choice(self.processes)
        await asyncio.to_thread(victim.kill)

    async def terminate(self) -> int:
        """Ask all to go, and wait until they have."""
        await asyncio.gather(*(asyncio.to_thread(process.stop) for process in self.processes))
        return 0

    def terminate_nowait(self) -> None:
        """Ask all to go."""
        for process in self.processes:
            os.kill(process.pid, signal.SIGTERM)

    def rss(self) -> int:
        """Bytes of memory that the larger gateway holds."""
        pages = [Path(f"/proc/{gateway.pid}/statm").read_text(encoding="ascii").split()[1] for gateway in self.gateways]
        return max(map(int, pages)) * os.sysconf("SC_PAGE_SIZE")

    def said(self) -> str:
        """What all have logged, over all their lives."""
        return "\n".join(process.said() for process in self.processes)

    def close(self) -> None:
        """End all, and remove their folders."""
        for process in (self.proxy, *self.processes):
            process.close()


@asynccontextmanager
async def clustered(
    servers: Servers, folder: Path, *, open_throttle: bool = False, **env: str
) -> AsyncGenerator[Cluster]:
    """A running cluster on a part of these servers; `open_throttle` raises the limits out of the way."""
    part = await asyncio.to_thread(servers.part)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.to_thread, servers.give_back, part)
        cluster = Cluster(folder, servers.guard, part | HOME | (OPEN_THROTTLE if open_throttle else {}) | env)
        stack.push_async_callback(asyncio.to_thread, cluster.close)
        await cluster.start()
        yield cluster
