"""Running a role until a signal comes, and then leaving in an order that loses nothing.

Readiness fails first; new clients are still taken for as long as a load balancer may not know of it; then none are, and
the sockets go one after the other; what is under way is stored before the ports close.
"""

import asyncio
import logging as stdlib_logging
import signal
from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager

import structlog
import uvloop

from aldis.bootstrap.data_folder import LOCK_FILE
from aldis.bootstrap.data_folder import lock as lock_folder
from aldis.bootstrap.roles import Edge, open_embedded, open_gateway, open_worker
from aldis.gateway.server import DrainingServer, build_config, serving_beside
from aldis.settings import Settings
from aldis.telemetry import log as logging

log = structlog.get_logger(__name__)


class ServeFailed(Exception):
    """The process did not start; what it was is in the log."""


def serve(settings: Settings) -> int:
    """Run every role in this process until SIGTERM or SIGINT; answer the exit code.

    Raises `DataDirLocked` when another process serves the data folder, `ServeFailed` when the address is taken.
    """
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # messages and secrets lie here
    with _logging(settings), (settings.data_dir / LOCK_FILE).open("w", encoding="ascii") as lock:
        lock_folder(lock.fileno(), settings.data_dir)
        uvloop.run(_serve(settings))
    return 0


def run_gateway(settings: Settings) -> int:
    """Run what faces clients until a signal; answer the exit code. Raises `ServeFailed`."""
    with _logging(settings):
        uvloop.run(_run_gateway(settings))
    return 0


def run_worker(settings: Settings) -> int:
    """Run what works behind until a signal; answer the exit code. Raises `ServeFailed`."""
    with _logging(settings):
        uvloop.run(_run_worker(settings))
    return 0


@contextmanager
def _logging(settings: Settings) -> Generator[None]:
    close = logging.configure(settings.log_level, json=settings.log_json)
    stdlib_logging.getLogger("uvicorn.error").setLevel("WARNING")  # it has a line for each socket, twice
    try:
        yield
    finally:
        close()


async def _serve(settings: Settings) -> None:
    async with open_embedded(settings) as edge:
        await _serve_edge(edge, settings)


async def _run_gateway(settings: Settings) -> None:
    async with open_gateway(settings) as edge:
        await _serve_edge(edge, settings)


async def _serve_edge(edge: Edge, settings: Settings) -> None:
    """Take clients until a signal; the internal port answers until the end."""

    async def drain() -> None:
        await _drain(edge, server, settings)

    def started(port: int) -> None:
        edge.health.started = True
        log.info("serving", url=f"http://{settings.host}:{port}/", data_dir=str(settings.data_dir))

    config = build_config(edge.app, host=settings.host, port=settings.port, content_bytes=settings.limits.content_bytes)
    server = DrainingServer(config, on_started=started, on_drain=drain)
    async with AsyncExitStack() as stack:
        if edge.internal is not None:
            await _open_internal(stack, edge.internal, settings)
        try:
            await server.serve()
        except SystemExit as error:  # uvicorn's way to say that it could not bind
            raise ServeFailed(f"cannot listen on {settings.host}:{settings.port}; is the port taken?") from error


async def _drain(edge: Edge, server: DrainingServer, settings: Settings) -> None:
    edge.health.draining = True
    log.info("draining", connections=len(edge.hub.connections()), seconds=settings.drain_seconds)
    await asyncio.sleep(settings.pre_stop_seconds)
    edge.health.refusing = True
    if edge.internal is not None:
        server.stop_listening()  # the probes have a port of their own, and need this one no longer
    await edge.hub.drain(settings.drain_seconds)


async def _open_internal(stack: AsyncExitStack, app: object, settings: Settings) -> None:
    host, wanted = settings.admin_host or settings.host, settings.admin_port or 0
    try:
        port = await stack.enter_async_context(serving_beside(app, host=host, port=wanted))
    except OSError as error:
        raise ServeFailed(f"cannot listen on {host}:{wanted} for administration; is the port taken?") from error
    log.info("serving_administration", url=f"http://{host}:{port}/")


async def _run_worker(settings: Settings) -> None:
    leaving = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leaving.set)
    async with open_worker(settings) as office, AsyncExitStack() as stack:
        await _open_internal(stack, office.app, settings)
        office.health.started = True
        log.info("working")
        await leaving.wait()
        office.health.draining = True
        log.info("draining")
