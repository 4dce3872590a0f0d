"""The seam to uvicorn: its WebSocket protocol, with frames handed over as they are parsed and written as they are.

Through ASGI a received frame costs a queue, a wake-up and two system calls to pause and resume reading, a sent one a
coroutine and an encoding each. Here a frame goes to a callback, and bytes that were framed once go to any number of
transports. Only uvicorn's and the library's public state is relied on; a test runs both versions' handshakes.
"""

import socket
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State

EXTENSION = "aldis.protocol"
HIGH_WATER = 16 * 1024  # bytes unsent in this process at which a reader counts as slow
LOW_WATER = 8 * 1024
UNSENT_LOW = 16 * 1024  # bytes unsent in the kernel: what an urgent message has to wait behind
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
        transport.set_write_buffer_limits(HIGH_WATER, LOW_WATER)
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family in {socket.AF_INET, socket.AF_INET6} and hasattr(raw, "setsockopt"):
            raw.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, UNSENT_LOW)

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
        self.transport.resume_reading()
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)
