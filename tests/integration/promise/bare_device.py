"""A device without a client library: a socket, the contract's frames, and the three rules in a few lines.

It comes back for as long as it is wanted, resumes by the cursor it has kept or, as a device without storage, by what it
has acknowledged, and sends under the same client id until it is answered.
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from integration.promise import wire
from integration.promise.ledger import Ledger
from integration.promise.witness import Witness

TEXT = WSMsgType.TEXT
HANDSHAKE_SECONDS = 10.0
PAUSE_SECONDS = 0.15  # the most between an ended connection and the next
STAY_AWAY = range(4400, 4500)


class Line(WSListener):
    """One connection of a device."""

    def __init__(self, device: "BareDevice") -> None:
        """Belong to a device, which hears of every frame."""
        super().__init__()
        self._device = device
        self.transport: WSTransport | None = None
        self.code: int | None = None
        self.ended = asyncio.Event()

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Introduce the device."""
        self.transport = transport
        transport.send(TEXT, self._device.hello())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Hand a text frame over; take a close frame as the end."""
        if frame.msg_type == TEXT:
            try:
                self._device.on_frame(self, wire.decode(frame.get_payload_as_memoryview()))
            except Exception as error:  # noqa: BLE001 - picows would only log it, and the test would not know
                self._device.ledger.faults.append(f"{self._device.name}: {error!r}")
        elif frame.msg_type == WSMsgType.CLOSE:
            self.code = cast("int", frame.get_close_code())
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Let the device know."""
        self.transport = None
        self.ended.set()

    def write(self, payload: bytes) -> None:
        """Write a frame, if the socket still stands."""
        if self.transport is not None and not self.transport.is_disconnected:
            with suppress(WSError, OSError):
                self.transport.send(TEXT, payload)

    def leave(self) -> None:
        """Close."""
        if self.transport is not None and not self.transport.is_disconnected:
            with suppress(WSError, OSError):
                self.transport.send_close()
                self.transport.disconnect()


class BareDevice:
    """One device of a user; `run` keeps it connected until it is cancelled."""

    def __init__(
        self,
        url: str,
        token: str,
        witness: Witness,
        ledger: Ledger,
        *,
        keeps_cursor: bool = True,
        ack_after: float | None = 0.03,
    ) -> None:
        """Name it by its witness; without `ack_after` (seconds) it never acknowledges."""
        self.witness = witness
        self.ledger = ledger
        self.name = f"{witness.user}/{witness.device}"
        self.user = witness.user
        self.is_up = asyncio.Event()
        self.goodbyes: list[wire.Goodbye] = []
        self.codes: list[int | None] = []
        self.errors: list[wire.Refusal] = []
        self.on_frame_seen: Callable[[wire.Frame], None] | None = None
        self._url = url
        self._token = token
        self._keeps_cursor = keeps_cursor
        self._ack_after = ack_after
        self._unacked: dict[str, int] = {}
        self._unanswered: dict[int, dict[str, Any]] = {}
        self._last_number = 0
        self._line: Line | None = None

    @property
    def outstanding(self) -> int:
        """Sends without an answer."""
        return len(self._unanswered)

    async def run(self) -> None:
        """Be connected, and come back."""
        try:
            while True:
                with suppress(OSError, WSError, TimeoutError):
                    await self._live()
                if self.codes and self.codes[-1] in STAY_AWAY:
                    self.ledger.faults.append(f"{self.name} was told to stay away: {self.codes[-1]}")
                    return
                await asyncio.sleep(random.uniform(0, PAUSE_SECONDS))
        finally:
            self._line = None

    def hello(self) -> bytes:
        """The connect command."""
        cursor = None
        if self._keeps_cursor and self.witness.connects:
            cursor = wire.format_places(self.witness.epoch, self.witness.applied)
        return wire.connect_command(self._token, self.witness.device, cursor)

    def send(self, to: str, client_id: str, priority: str = "normal") -> None:
        """Send a message, now and on every connection until it is answered."""
        self.ledger.sending(client_id, self.user, to)
        self._last_number += 1
        self._unanswered[self._last_number] = body = wire.send_body(to, client_id, priority=priority)
        if self._line is not None and self.is_up.is_set():
            self._line.write(wire.send_command(self._last_number, body))

    def write(self, payload: bytes) -> None:
        """Write any frame to the connection there is."""
        if self._line is not None:
            self._line.write(payload)

    def on_frame(self, line: Line, frame: wire.Frame) -> None:
        """Do what the contract asks of a client."""
        self.witness.judge(frame)
        if self.on_frame_seen is not None:
            self.on_frame_seen(frame)
        if frame.source is not None:
            self._owe_ack(frame.source, frame.events[-1].pos)
        elif frame.send is not None:
            self._on_answer(frame.id, frame.send)
        elif frame.ping is not None:
            line.write(b'{"pong":{}}')
        elif frame.connect is not None:
            self._on_connected(line)
        elif frame.disconnect is not None:
            self.goodbyes.append(frame.disconnect)
        elif frame.error is not None:
            self._on_error(frame.id, frame.error)

    async def _live(self) -> None:
        line = Line(self)
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                await ws_connect(
                    lambda: line,
                    self._url,
                    websocket_handshake_timeout=None,
                    enable_auto_ping=False,
                    use_aiofastnet=False,
                    extra_headers={"Sec-WebSocket-Protocol": "aldis.v1"},
                )
            if line.transport is not None:  # picows comes back without one when the socket is cut in its handshake
                await line.ended.wait()
            self.codes.append(line.code)
        finally:
            self._flush_ack()
            self.is_up.clear()
            line.leave()

    def _on_connected(self, line: Line) -> None:
        self._line = line
        self._unacked.clear()
        self.is_up.set()
        for number, body in self._unanswered.items():
            line.write(wire.send_command(number, body))

    def _on_answer(self, number: int | None, answer: wire.Sent) -> None:
        body = self._unanswered.pop(number or 0, None)
        if body is None:
            self.ledger.faults.append(f"{self.name}: command {number} was answered twice")
            return
        self.ledger.answered(
            body["client_id"], answer.message_id, answer.conversation_id, answer.seq, duplicate=answer.duplicate
        )

    def _on_error(self, number: int | None, error: wire.Refusal) -> None:
        self.errors.append(error)
        body = self._unanswered.get(number or 0)
        if body is not None and number is not None and error.retryable:
            asyncio.get_running_loop().call_later(0.05, self.write, wire.send_command(number, body))

    def _owe_ack(self, source: str, position: int) -> None:
        if self._ack_after is None:
            return
        if not self._unacked:
            asyncio.get_running_loop().call_later(self._ack_after, self._flush_ack)
        self._unacked[source] = position

    def _flush_ack(self) -> None:
        if self._unacked and self._line is not None:
            self._line.write(wire.ack_command(self._unacked))
            self._unacked = {}
