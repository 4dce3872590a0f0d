"""uvicorn's HTTP protocol with an end to a request's head: anyone may send one, before anybody knows who it is.

The parser keeps a head until it is whole; neither it nor uvicorn says how long that may take, or how large it may be.
Nor does uvicorn say how much may follow of the body of a request that has been answered, which it drops.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = (
    64 * 1024
)  # bytes of a head, or of what else stands apart from a body; tokens and cookies take a few thousand
MAX_DROPPED = 16 * 1024 * 1024  # bytes of a body after its answer; whoever sends on does not listen
HEAD_SECONDS = 10.0  # for a head, the first as well as a later one that has begun


class BoundedHttp(HttpToolsProtocol):
    """One HTTP connection. Bodies are bounded by the application."""

    _apart = 0  # bytes since the last piece of a body, or since a head was whole
    _dropped = 0  # bytes of this request's body that came after its answer
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Wait for a head, not for ever."""
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Count what the parser has to keep."""
        self._apart += len(data)
        super().data_received(data)
        if self._apart > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        """A later head has its time too."""
        super().on_message_begin()
        self._wait_for_head()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._apart = self._dropped = 0
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A body is handed on and not kept."""
        self._apart = 0
        super().on_body(body)
        if self.cycle is not None and self.cycle.response_complete:
            self._dropped += len(body)
            if self._dropped > MAX_DROPPED and not self.transport.is_closing():
                self.transport.close()

    def on_message_complete(self) -> None:
        """What follows is another request."""
        self._apart = 0
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is waited for."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
