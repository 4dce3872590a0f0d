"""A real server for tests: one process of `aldis serve` in a folder of its own, always ended by its pid.

    async with served(tmp_path, open_throttle=True, ALDIS_PING_INTERVAL="2") as server:
        ...server.url, server.ws_url, server.token("alice"), await server.kill(), await server.restart()

It keeps its port and its data folder over restarts. What it says goes to `server.log`.
"""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path

from aldis.services.authenticate import sign_token
from aldis.settings import Settings, load_settings
from servers import ports
from servers.surroundings import surroundings

HOST = ports.HOST
READY_SECONDS = 30.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.02
OPEN_THROTTLE = {
    "ALDIS_LIMITS__MESSAGES_PER_SECOND": "1000000",
    "ALDIS_LIMITS__BURST": "1000000",
    "ALDIS_LIMITS__KEY_MESSAGES_PER_SECOND": "1000000",
    "ALDIS_LIMITS__KEY_BURST": "1000000",
}


HOME = {"ALDIS_LIMITS__EXEMPT_LOOPBACK": "true"}
"""All tests come from one address, which nobody means to limit."""


class ServerFailed(Exception):
    """The server did not become ready; the text is what it said."""


class Server:
    """One server, running or not. Make it with `served`."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        """Choose a port; nothing runs before `start`."""
        self.data_dir = folder / "data"
        self.log_file = folder / "server.log"
        self.port = ports.free_port()
        self._env = surroundings() | dict(env)
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """Where REST is."""
        return f"http://{HOST}:{self.port}"

    @property
    def ws_url(self) -> str:
        """Where sockets connect."""
        return f"ws://{HOST}:{self.port}/v1/connect"

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None, "the server was never started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.returncode is None

    @property
    def secret(self) -> str:
        """What user tokens are signed with; there once it has been started."""
        return (self.data_dir / "secret").read_text(encoding="utf-8").strip()

    @property
    def own_port(self) -> int:
        """Where the process itself listens, whatever stands before it."""
        return self.port

    @property
    def own_urls(self) -> Sequence[str]:
        """Where each process takes clients, whatever stands before them."""
        return (self.url,)

    @property
    def command_options(self) -> Sequence[str]:
        """What tells a command where the server's data is."""
        return ("--data-dir", str(self.data_dir))

    def settings(self) -> Settings:
        """What a command beside the running server works with."""
        return load_settings(data_dir=self.data_dir)

    def token(self, user: str, *, seconds: int = 3600) -> str:
        """A user's token."""
        return sign_token(user, self.secret, seconds, int(time.time()))

    async def key(self, name: str = "backend", *options: str) -> str:
        """A new backend key, made by `aldis key create` beside the running server."""
        return (await self.aldis("key", "create", name, *options)).strip()

    async def aldis(self, *arguments: str) -> str:
        """Run `aldis …` on this data folder and give what it printed. Raises `ServerFailed` unless it ends with 0."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "aldis", *arguments, *self.command_options,
            env=self._env, stdin=DEVNULL, stdout=PIPE, stderr=PIPE,
        )  # fmt: skip
        async with asyncio.timeout(STOP_SECONDS):
            out, err = await process.communicate()
        if process.returncode:
            raise ServerFailed(f"aldis {' '.join(arguments)} ended with {process.returncode}: {err.decode()}")
        return out.decode()

    async def start(self) -> None:
        """Start it and wait until it is ready. Raises `ServerFailed`."""
        assert not self.is_running, "the server runs already"
        with self.log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "aldis", "serve",
                "--host", HOST, "--port", str(self.port), "--data-dir", str(self.data_dir),
                env=self._env, stdin=DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        await self._wait_ready(self._process)

    async def kill(self) -> None:
        """End it with SIGKILL, as a crash does, and wait until it is gone."""
        await self._end(signal.SIGKILL)

    async def terminate(self) -> int:
        """Ask it to go with SIGTERM, wait until it has, and give its exit code."""
        return await self._end(signal.SIGTERM)

    def terminate_nowait(self) -> None:
        """Ask it to go with SIGTERM; `wait_ended` waits."""
        if self.is_running:
            os.kill(self.pid, signal.SIGTERM)

    async def wait_ended(self) -> int:
        """Wait until the process has ended, and give its exit code; kills it when it takes too long."""
        assert self._process is not None, "the server was never started"
        try:
            async with asyncio.timeout(STOP_SECONDS):
                return await self._process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            raise

    async def restart(self) -> None:
        """Start it again on the same port and data folder; ends it first when it still runs."""
        if self.is_running:
            await self.terminate()
        await self.start()

    async def status(self, path: str) -> int:
        """The HTTP status of a GET; 0 when nobody answers."""
        try:
            async with asyncio.timeout(5):
                return await _get_status(self.port, path)
        except (OSError, TimeoutError):
            return 0

    def rss(self) -> int:
        """Bytes of memory that the process holds."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def said(self) -> str:
        """What it has logged, over all its lives."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    async def _end(self, number: signal.Signals) -> int:
        if self.is_running:
            os.kill(self.pid, number)
        return await self.wait_ended()

    async def _wait_ready(self, process: Process) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while process.returncode is None and time.monotonic() < deadline:
            if await self.status("/readyz") == HTTPStatus.OK:
                return
            await asyncio.sleep(POLL_SECONDS)
        raise ServerFailed(f"the server did not become ready (exit code {process.returncode}):\n{self.said()[-4000:]}")


Opener = Callable[..., AbstractAsyncContextManager[Server]]


def served(folder: Path, *, open_throttle: bool = False, **env: str) -> AbstractAsyncContextManager[Server]:
    """A running server with these variables; `open_throttle` raises the rate limits out of the way."""
    return _opener[-1](folder, open_throttle=open_throttle, **env)


def serve_by(opener: Opener) -> None:
    """Have `served` open something else with the face of a server for the rest of the run."""
    _opener.append(opener)


@asynccontextmanager
async def _serve_embedded(folder: Path, *, open_throttle: bool = False, **env: str) -> AsyncGenerator[Server]:
    server = Server(folder, HOME | (OPEN_THROTTLE if open_throttle else {}) | env)
    try:
        await server.start()
        yield server
    finally:
        if server.is_running:
            await server.kill()


_opener: list[Opener] = [_serve_embedded]


async def _get_status(port: int, path: str) -> int:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
        line = await reader.readline()
        return int(line.split()[1]) if line else 0
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
