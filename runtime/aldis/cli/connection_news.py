"""What a listener tells about its connection on standard error: lost, back again, or begun anew."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from aldis.cli.terminal import say
from aldis_client import Cursor

CLIENT_LOG = "aldis_client"
LOOK_AHEAD = 64  # characters of a frame, within which the answer to the connect command shows itself


class ConnectionNews(logging.Handler):
    """Hears the client's own log and its frames. A reason that was told last is not told again."""

    def __init__(self, *, is_first: bool) -> None:
        super().__init__(logging.INFO)
        self._is_first = is_first
        self._told: str | None = None

    @contextmanager
    def from_log(self) -> Iterator[None]:
        """Tell what the client logs, for as long as the block lasts."""
        log = logging.getLogger(CLIENT_LOG)
        before = log.level, log.propagate
        log.addHandler(self)
        log.setLevel(logging.INFO)
        log.propagate = False
        try:
            yield
        finally:
            log.removeHandler(self)
            log.level, log.propagate = before

    def emit(self, record: logging.LogRecord) -> None:
        """Tell a line of the client's log."""
        line = record.getMessage()
        if line != self._told:
            self._told = line
            say(line)

    def on_frame(self, raw: str) -> None:
        """Tell that the connection is back, when the server says welcome after something was told."""
        if self._told is not None and '"connect"' in raw[:LOOK_AHEAD] and "connect" in json.loads(raw):
            self._told = None
            say("connected again")

    def on_reset(self, cursor: Cursor) -> None:  # noqa: ARG002 - the client calls it like this
        """Tell that what came before now is not to be had here."""
        if not self._is_first:
            say("the server cannot go on from where this device was: showing what comes from now on")
