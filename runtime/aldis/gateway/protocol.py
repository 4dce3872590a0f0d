"""The seam to uvicorn: its WebSocket protocol, with frames handed over as they are parsed and written as they are.

Through ASGI a received frame costs a queue, a wake-up and two system calls to pause and resume reading, a sent one a
coroutine and an encoding each. Here a frame goes to a callback, and bytes that were framed once go to any number of
transports. Only uvicorn's and the library's public state is relied on; a test runs both versions' handshakes.
"""

import socket
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State

EXTENSION = "aldis.protocol"
HIGH_WATER = 16 * 1024  # bytes unsent in this process at which a reader counts as slow
LOW_WATER = 8 * 1024
UNSENT_LOW = 16 * 1024  # bytes unsent in the kernel: what an urgent message has to wait behind
SLICE = 8 * 1024  # bytes gone through at a time: a few hundred tiny frames, some milliseconds for which all others wait
HOLD_AT = 128 * 1024  # bytes unsent beyond which a client is not read: more than a feed ever leaves, so it is replies
LINGER = 1.0  # seconds for a client to hear why it is sent away
_NO_BODY = Headers([("Connection", "close"), ("Content-Length", "0")])
_TCP_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", 25)  # Linux's number, named in Python since 3.12


def text_frame(payload: bytes) -> bytes:
    """An unmasked, unfragmented text frame (RFC 6455 §5.2), ready for any transport."""
    return Frame(Opcode.TEXT, payload).serialize(mask=False)


class HubProtocol(WebSocketsSansIOProtocol):
    """One socket. Once `on_message` is set, frames go there and no longer through ASGI."""

    on_message: Callable[[bytes, bool], None] | None = None

    def connection_made(self, transport: Any) -> None:
        """Bound what may lie unsent before anything is written."""
        super().connection_made(transport)
        self._holds: set[str] = set()
        self._unread = b""  # received, and waiting for its turn
        self._lingering = False
        transport.set_write_buffer_limits(HIGH_WATER, LOW_WATER)
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family in {socket.AF_INET, socket.AF_INET6} and hasattr(raw, "setsockopt"):
            raw.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, UNSENT_LOW)

    def data_received(self, data: bytes) -> None:
        """Go through what came; much at once in slices, between which the others have their turn."""
        if len(data) <= SLICE and not self._unread:
            self._receive(data)
            return
        if not self._unread:
            self.hold("slices")
            self.loop.call_soon(self._receive_slice)
        self._unread += data

    def _receive_slice(self) -> None:
        data, self._unread = self._unread[:SLICE], self._unread[SLICE:]
        if self.disconnected or self.transport.is_closing():
            return
        if self._unread:
            self.loop.call_soon(self._receive_slice)
        else:
            self.release("slices")
        self._receive(data)

    def _receive(self, data: bytes) -> None:
        """Answer also what the library cannot read as a handshake: uvicorn would leave it waiting for ever."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.close_sent:
            self.handshake_complete = self.close_sent = True
            self.transport.write(Response(400, "Bad Request", _NO_BODY).serialize())
            self.transport.close()

    async def run_asgi(self) -> None:
        """Let the application find this protocol in its scope."""
        extensions: dict[str, Any] = cast("dict[str, Any]", self.scope.setdefault("extensions", {}))
        extensions[EXTENSION] = self
        await super().run_asgi()

    def send_receive_event_to_app(self) -> None:
        """Hand a whole message over."""
        if self.on_message is None or self.close_sent:
            super().send_receive_event_to_app()
            return
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        self.on_message(bytes(data), self.curr_msg_data_type == "text")
        if self.unsent > HOLD_AT:
            self.hold("unsent")

    def handle_cont(self, event: Frame) -> None:
        """Keep a part of a message; empty ones add nothing, and there may be any number of them."""
        if event.data or event.fin:
            super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer, unless earlier answers have not been read yet (RFC 6455 §5.5.3 asks only for the latest)."""
        pong = b"".join(self.conn.data_to_send())
        if self.writable.is_set():
            self.transport.write(pong)

    def resume_writing(self) -> None:
        """Read again from a client that has read what it was sent."""
        super().resume_writing()
        self.release("unsent")

    def hold(self, reason: str) -> None:
        """Read no more from this client until the reason is gone."""
        if not self.transport.is_closing():
            self._holds.add(reason)
            self.transport.pause_reading()

    def release(self, reason: str) -> None:
        """Read again, unless there is another reason not to."""
        if reason not in self._holds:
            return
        self._holds.discard(reason)
        if not self._holds and not self.transport.is_closing():
            self.transport.resume_reading()

    def handle_parser_exception(self) -> None:
        """Say what is wrong and end, but read on: closing on unread bytes resets the connection, and loses the word."""
        if self._lingering:
            return
        if self.close_timer is not None or not self.transport.can_write_eof():
            super().handle_parser_exception()
            return
        self._lingering = True
        close = self.conn.close_sent
        assert close is not None
        self.queue.put_nowait({"type": "websocket.disconnect", "code": close.code, "reason": close.reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.write_eof()
        self._read_to_the_end()
        self.close_timer = self.loop.call_later(LINGER, self.transport.abort)

    @property
    def is_open(self) -> bool:
        """Whether a text frame may be written now."""
        return (
            self.handshake_complete and not self.close_sent and not self.disconnected and self.conn.state is State.OPEN
        )

    @property
    def unsent(self) -> int:
        """Bytes waiting in this process."""
        return self.transport.get_write_buffer_size()

    def write_frame(self, frame: bytes) -> None:
        """Write what `text_frame` made, if the socket is open."""
        if self.is_open:
            self.transport.write(frame)

    def close_with(self, code: int, reason: str) -> None:
        """Start the closing handshake; an answer that does not come within uvicorn's timeout ends the transport."""
        if not self.is_open or self.transport.is_closing():
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._read_to_the_end()
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)

    def _read_to_the_end(self) -> None:
        self._holds &= {"slices"}
        if not self._holds:
            self.transport.resume_reading()
