"""A production in small for tests, with the face of `served.Server`: two gateways, a worker, and a proxy before them.

    async with clustered(stack, tmp_path) as server:
        ...server.url, server.ws_url, server.token("alice"), await server.kill(), await server.start()

The servers below (PostgreSQL, RabbitMQ, Redis) are the run's own; database, virtual host and Redis database are this
cluster's. `kill` ends one process at random with SIGKILL, and `start` starts what does not run.
"""

import asyncio
import random
import secrets
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from aldis.services.authenticate import sign_token
from served import HOME, OPEN_THROTTLE, ServerFailed
from servers.aldis import AldisServer
from servers.guard import Guard
from servers.proxy import ProxyServer

COMMAND_SECONDS = 60.0
GATEWAYS = 2


class Cluster:
    """Processes that share a database. Make it with `clustered`."""

    def __init__(self, folder: Path, guard: Guard, variables: Mapping[str, str]) -> None:
        """Plan it; nothing runs yet."""
        self.data_dir = folder  # for files of the tests; no process of ours keeps any
        self.secret = secrets.token_urlsafe(32)
        self.variables = {**variables, "ALDIS_JWT__SECRET": self.secret, "ALDIS_TRUSTED_PROXIES": "127.0.0.1"}
        self.gateways = [AldisServer("gateway", self.variables, guard=guard) for _ in range(GATEWAYS)]
        self.worker = AldisServer("worker", self.variables, guard=guard)
        self.proxy = ProxyServer([gateway.port for gateway in self.gateways], guard=guard)

    @property
    def url(self) -> str:
        """Where REST is."""
        return self.proxy.url

    @property
    def port(self) -> int:
        """The proxy's port."""
        return self.proxy.port

    @property
    def ws_url(self) -> str:
        """Where sockets connect."""
        return f"ws{self.url.removeprefix('http')}/v1/connect"

    @property
    def processes(self) -> Sequence[AldisServer]:
        """All of Aldis."""
        return (*self.gateways, self.worker)

    @property
    def is_running(self) -> bool:
        """Whether all of it runs."""
        return all(process.is_running for process in self.processes)

    def token(self, user: str, seconds: int = 3600) -> str:
        """A user's token."""
        return sign_token(user, self.secret, seconds, int(time.time()))

    async def key(self, name: str = "backend", *options: str) -> str:
        """A new backend key, made by `aldis key create` beside the running processes."""
        return (await self.aldis("key", "create", name, *options)).strip()

    async def aldis(self, *arguments: str) -> str:
        """Run `aldis …` with the cluster's variables and give what it printed. Raises `ServerFailed`."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "aldis", *arguments,
            env={**self.gateways[0].environment()}, stdin=DEVNULL, stdout=PIPE, stderr=PIPE,
        )  # fmt: skip
        async with asyncio.timeout(COMMAND_SECONDS):
            out, err = await process.communicate()
        if process.returncode:
            raise ServerFailed(f"aldis {' '.join(arguments)} ended with {process.returncode}: {err.decode()}")
        return out.decode()

    async def start(self) -> None:
        """Start what does not run, all at once, and wait until it is ready."""
        idle = [process for process in (*self.processes, self.proxy) if not process.is_running]
        await asyncio.gather(*(asyncio.to_thread(process.start) for process in idle))

    async def kill(self, process: AldisServer | None = None) -> None:
        """End one process with SIGKILL: the one that is given, or any."""
        victim = process or random.choice(self.processes)
        await asyncio.to_thread(victim.kill)

    async def terminate(self) -> int:
        """Ask all to go, and wait until they have."""
        await asyncio.gather(*(asyncio.to_thread(process.stop) for process in self.processes))
        return 0

    def said(self) -> str:
        """What all have logged, over all their lives."""
        return "\n".join(process.said() for process in self.processes)

    def close(self) -> None:
        """End all, and remove their folders."""
        for process in (self.proxy, *self.processes):
            process.close()


@asynccontextmanager
async def clustered(
    folder: Path, guard: Guard, variables: Mapping[str, str], *, open_throttle: bool = False, **env: str
) -> AsyncGenerator[Cluster]:
    """A running cluster on the servers that `variables` name; `open_throttle` raises the limits out of the way."""
    extra = HOME | (OPEN_THROTTLE if open_throttle else {}) | env
    async with AsyncExitStack() as stack:
        cluster = Cluster(folder, guard, {**variables, **extra})
        stack.callback(cluster.close)
        await cluster.aldis("migrate")
        await cluster.start()
        yield cluster
