"""Running `aldis serve`: until a signal comes, and then in an order that loses nothing."""

import logging as stdlib_logging

import structlog
import uvloop

from aldis.bootstrap.data_folder import LOCK_FILE
from aldis.bootstrap.data_folder import lock as lock_folder
from aldis.bootstrap.embedded import open_embedded
from aldis.gateway.server import DrainingServer, build_config
from aldis.settings import Settings
from aldis.telemetry import log as logging

log = structlog.get_logger(__name__)


class ServeFailed(Exception):
    """The server did not start; what it was is in the log."""


def serve(settings: Settings) -> int:
    """Run every role in this process until SIGTERM or SIGINT; answer the exit code.

    Raises `DataDirLocked` when another process serves the data folder, `ServeFailed` when the address is taken.
    """
    close_log = logging.configure(settings.log_level, json=settings.log_json)
    stdlib_logging.getLogger("uvicorn.error").setLevel("WARNING")  # it has a line for each socket, twice
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # messages and secrets lie here
    try:
        with (settings.data_dir / LOCK_FILE).open("w", encoding="ascii") as lock:
            lock_folder(lock.fileno(), settings.data_dir)
            uvloop.run(_serve(settings))
    finally:
        close_log()
    return 0


async def _serve(settings: Settings) -> None:
    async with open_embedded(settings) as embedded:

        async def drain() -> None:
            embedded.health.draining = True
            log.info("draining", connections=len(embedded.hub.connections()), seconds=settings.drain_seconds)
            await embedded.hub.drain(settings.drain_seconds)

        def started(port: int) -> None:
            embedded.health.started = True
            log.info("serving", url=f"http://{settings.host}:{port}/", data_dir=str(settings.data_dir))

        config = build_config(
            embedded.app, host=settings.host, port=settings.port, content_bytes=settings.limits.content_bytes
        )
        try:
            await DrainingServer(config, on_started=started, on_drain=drain).serve()
        except SystemExit as error:  # uvicorn's way to say that it could not bind
            raise ServeFailed(f"cannot listen on {settings.host}:{settings.port}; is the port taken?") from error
