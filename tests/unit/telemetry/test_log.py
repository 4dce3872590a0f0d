import io
import json
import logging
import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from aldis.telemetry import log

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm5hIn0.c2lnbmF0dXJl"
Lines = Callable[[], list[dict[str, Any]]]


def fail(words: str) -> None:
    raise ValueError(words)


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def clean_logging() -> Iterator[None]:
    """Put the process's logging back as it was: it is the one thing here that is global."""
    root = logging.getLogger()
    handlers, levels = root.handlers, {name: logging.getLogger(name).level for name in ("", *log.OWN_LOGGERS)}
    structlog_before = structlog.get_config()
    yield
    root.handlers = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    structlog.configure(**structlog_before)


@pytest.fixture
def lines(stream: io.StringIO, clean_logging: None) -> Iterator[Lines]:
    """Log as JSON; calling it ends logging and gives the lines."""
    close = log.configure("info", json=True, stream=stream)

    def finish() -> list[dict[str, Any]]:
        close()
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    yield finish
    close()


def test_a_line_is_one_json_object(lines: Lines) -> None:
    """Each event is a line with its name, level, logger, time and data."""
    structlog.get_logger("aldis.test").info("message_accepted", seq=7)

    (line,) = lines()

    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "message_accepted", "level": "info", "logger": "aldis.test", "seq": 7}


def test_context_bound_at_the_edge_is_in_every_line(lines: Lines) -> None:
    """Ids bound once are told by our own lines."""
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        structlog.get_logger("aldis.test").info("message_accepted")

    assert lines()[0]["request_id"] == "r1"


def test_no_secret_comes_out_of_any_way_in(lines: Lines) -> None:
    """Data, words, tracebacks and other libraries' lines are all redacted."""
    own = structlog.get_logger("aldis.test")
    own.info("connected", token="hush-1", header=f"Bearer {TOKEN}")
    logging.getLogger("uvicorn.access").info('%s - "GET /ws?token=hush-2"', "10.0.0.1")
    try:
        fail("ak_7f3k_hush-3")
    except ValueError:
        own.exception("failed")
        logging.getLogger("uvicorn.error").exception("failed")

    told = lines()

    assert len(told) == 4
    assert all(secret not in json.dumps(told) for secret in (TOKEN, "hush-1", "hush-2", "hush-3"))
    assert all("ValueError" in line["exception"] for line in told[2:])


def test_lines_below_the_level_are_not_written(lines: Lines) -> None:
    """Ours and uvicorn's follow the level; other libraries speak only from warning up."""
    structlog.get_logger("aldis.test").debug("hidden")
    logging.getLogger("sqlalchemy").info("INSERT INTO messages")
    logging.getLogger("sqlalchemy").warning("closing")
    logging.getLogger("uvicorn.error").info("started")

    assert [line["event"] for line in lines()] == ["closing", "started"]


def test_people_get_readable_lines(stream: io.StringIO, clean_logging: None) -> None:
    """Without JSON a line is text, redacted all the same, also with a traceback."""
    close = log.configure("INFO", json=False, stream=stream)
    try:
        fail(TOKEN)
    except ValueError:
        structlog.get_logger("aldis.test").exception("failed", password="hush")
    close()

    text = stream.getvalue()

    assert "failed" in text
    assert "ValueError" in text
    assert "hush" not in text
    assert TOKEN not in text


def test_closing_twice_is_fine(clean_logging: None, stream: io.StringIO) -> None:
    """Bootstrap and the interpreter's exit may both close."""
    close = log.configure("info", json=True, stream=stream)

    close()
    close()


def test_a_full_queue_drops_and_says_how_many() -> None:
    """Logging never waits for its writer; the line after a loss tells how many are missing."""
    waiting: queue.Queue[logging.LogRecord] = queue.Queue(2)
    handler = log._DroppingHandler(waiting)
    for number in range(5):
        handler.emit(logging.makeLogRecord({"msg": f"line {number}"}))
    kept = [waiting.get().msg for _ in range(2)]

    handler.emit(logging.makeLogRecord({"msg": "line 5"}))

    assert kept == ["line 0", "line 1"]
    assert [waiting.get().msg for _ in range(2)] == ["line 5", "log_lines_dropped: 3"]
