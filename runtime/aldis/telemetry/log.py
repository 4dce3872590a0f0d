"""Logging: structlog and the standard library's records in one form, redacted, written by a thread.

A line is rendered where it is logged and handed to the writer thread through a bounded queue, so a slow or stopped
standard output never blocks the event loop; lines that find no room are counted, and the next one says how many.
"""

import atexit
import logging
import queue
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from logging.handlers import QueueHandler
from typing import TextIO

import structlog
from structlog.typing import Processor

from aldis.telemetry.redaction import redact

LogQueue = queue.Queue[logging.LogRecord | None]  # None ends it

LOG_QUEUE_LINES = 10_000  # about 5 MB, and some seconds of the loudest process
CLOSE_SECONDS = 5.0  # for the last lines; only a blocked output takes longer
OWN_LOGGERS = ("aldis", "uvicorn")  # others speak from WARNING up: their debug lines hold SQL parameters, thus messages


class _DroppingHandler(QueueHandler):
    """Drops when the queue is full, and says so as soon as there is room."""

    dropped = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1
            return
        lost, self.dropped = self.dropped, 0
        if lost:
            notice = {"name": __name__, "levelno": logging.WARNING, "levelname": "WARNING"}
            self.emit(logging.makeLogRecord({**notice, "msg": f"log_lines_dropped: {lost}"}))


def configure(level: str, *, json: bool, stream: TextIO | None = None) -> Callable[[], None]:
    """Send all logging to `stream` (standard output) as JSON lines or for people; the answer flushes and closes it."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared = _shared_processors()
    lines: LogQueue = queue.Queue(LOG_QUEUE_LINES)
    handler = _DroppingHandler(lines)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(json=json)],
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    _route_standard_library(handler, threshold)
    return _start_writer(handler, lines, stream if stream is not None else sys.stdout)


def _shared_processors() -> list[Processor]:
    """What our own lines and those of libraries go through; redaction is last, when the traceback is text."""
    return [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact,
    ]


def _renderer(*, json: bool) -> Processor:
    if json:
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)


def _route_standard_library(handler: logging.Handler, threshold: int) -> None:
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(threshold, logging.WARNING))
    for name in OWN_LOGGERS:
        logging.getLogger(name).setLevel(threshold)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True


def _start_writer(handler: logging.Handler, lines: LogQueue, stream: TextIO) -> Callable[[], None]:
    output = logging.StreamHandler(stream)
    output.setFormatter(logging.Formatter("%(message)s"))
    writer = threading.Thread(target=_write, args=(lines, output), name="log-writer", daemon=True)
    writer.start()
    closing = ExitStack()  # closes once, however often it is asked to
    closing.callback(atexit.unregister, closing.close)
    closing.callback(_stop_writer, lines, writer)
    closing.callback(logging.getLogger().removeHandler, handler)
    atexit.register(closing.close)
    return closing.close


def _write(lines: LogQueue, output: logging.Handler) -> None:
    while (record := lines.get()) is not None:
        output.handle(record)


def _stop_writer(lines: LogQueue, writer: threading.Thread) -> None:
    """Let it write what waits; a standard output that nobody reads must not keep the process from ending."""
    with suppress(queue.Full):
        lines.put(None, timeout=CLOSE_SECONDS)
        writer.join(CLOSE_SECONDS)
