"""A uvicorn server that drains: it fails readiness, lets its sockets go over a period, stops listening, then ends.

`AuxiliaryServer` stands beside it in the same process, on another port, and answers until the very end.

uvicorn closes every WebSocket with 1012 before the lifespan's shutdown, so a lifespan hook comes too late. While it
drains it refuses new sockets and still answers REST and the probes, which are to see why.
"""

import asyncio
import signal
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Any

import uvicorn

from aldis.gateway.bounded_http import BoundedHttp
from aldis.gateway.protocol import HubProtocol
from aldis.telemetry.tasks import spawn

BACKLOG = 4096  # handshakes that may wait: everybody comes back at once after a fault
FRAME_ROOM = 4  # bytes of a frame for each of a content: a client may write what is not ASCII as six characters
HTTP_GRACE = 10  # seconds for requests that are under way
IDLE_SECONDS = 75  # for an HTTP connection; longer than pools of clients and load balancers keep one (5 to 60)


class DrainingServer(uvicorn.Server):
    """Runs one application on one address."""

    def __init__(
        self, config: uvicorn.Config, *, on_started: Callable[[int], None], on_drain: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(config)
        self._on_started = on_started
        self._on_drain = on_drain

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then tell on which port."""
        await super().startup(sockets)
        if self.started:
            self._on_started(self.servers[0].sockets[0].getsockname()[1])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Begin to leave. uvicorn would raise the signal again at its end, before what is open could be closed."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True

    def stop_listening(self) -> None:
        """Take no more connections; those that are open go on."""
        for server in self.servers:
            server.close()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then do what uvicorn does, which begins with no longer listening."""
        await self._on_drain()
        await super().shutdown(sockets)


class AuxiliaryServer(uvicorn.Server):
    """A second application on another port; signals are the first one's business."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave them alone."""
        yield


@asynccontextmanager
async def serving_beside(app: object, *, host: str, port: int) -> AsyncGenerator[int]:
    """Serve `app` while the block is open; gives its port. Raises `OSError` when the address is taken."""
    listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    server = AuxiliaryServer(_configure(app, ws="none", timeout_graceful_shutdown=1))
    task = spawn(server.serve(sockets=[listener]), "admin-server")
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await asyncio.wait([task])


def build_config(app: object, *, host: str, port: int, content_bytes: int) -> uvicorn.Config:
    """How Aldis is served: uvloop, no deflate, small frames, our own signs of life, no log line a request.

    `content_bytes` is the most a content may have; a frame may be four times as large.
    """
    return _configure(
        app,
        host=host,
        port=port,
        loop="uvloop",
        ws=HubProtocol,
        ws_max_size=FRAME_ROOM * content_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        ws_ping_timeout=None,
        backlog=BACKLOG,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=HTTP_GRACE,
    )


def _configure(app: object, **own: Any) -> uvicorn.Config:
    """What holds on every port: bounded heads, no log line a request, nobody believed who says where he comes from."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # uvicorn names its own ASGI types
        http=BoundedHttp,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # uvicorn would believe any client of this machine; see `domain/addresses.py`
        **own,
    )
