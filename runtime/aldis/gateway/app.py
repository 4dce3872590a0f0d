"""The raw ASGI application behind `GET /v1/connect`: accept, hand the socket to its connection, wait for its end."""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from aldis.domain.errors import Rejected
from aldis.gateway.close_codes import CloseCode
from aldis.gateway.commands import CommandReader
from aldis.gateway.connection import Connection
from aldis.gateway.context import GatewayContext
from aldis.gateway.protocol import EXTENSION, HubProtocol

SUBPROTOCOL = "aldis.v1"
PATH = "/v1/connect"
CONNECT_WITHIN = 10.0  # seconds for the first command
FULL_SECONDS = (5, 15)  # a full process asks for so much patience, each client for another amount
CROWDED_SECONDS = 30

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]


class GatewayApp:
    """Sockets at `/v1/connect`, everything else to the HTTP application."""

    def __init__(self, context: GatewayContext, http: Application, *, is_draining: Callable[[], bool]) -> None:
        self._context = context
        self._http = http
        self._is_draining = is_draining
        self._open = 0  # sockets that were accepted and have not ended

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "websocket":
            await self._http(scope, receive, send)
        elif scope["path"] != PATH:
            await _refuse(scope, receive, send, 404)
        elif self._is_draining():
            await _refuse(scope, receive, send, 503)
        elif scope["subprotocols"] and SUBPROTOCOL not in scope["subprotocols"]:
            await _refuse(scope, receive, send, 400)
        else:
            await self._admit(scope, receive, send)

    async def _admit(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve a socket if there is room for it, and for another one from its address."""
        gate = self._context.gate
        address = gate.key_of(scope["client"], scope["headers"])
        try:
            gate.check_handshake(address)
        except Rejected as limited:
            await _refuse(scope, receive, send, 429, retry_after=math.ceil((limited.retry_after_ms or 0) / 1000))
            return
        if self._open >= self._context.limits.connections:
            await _refuse(scope, receive, send, 503, retry_after=random.randrange(*FULL_SECONDS))  # noqa: S311
            return
        if not gate.has_room(address):
            await _refuse(scope, receive, send, 429, retry_after=CROWDED_SECONDS)
            return
        self._open += 1
        gate.opened(address)
        try:
            await self._serve(scope, receive, send)
        finally:
            self._open -= 1
            gate.closed(address)

    async def _serve(self, scope: Any, receive: Receive, send: Send) -> None:
        protocol: HubProtocol = scope["extensions"][EXTENSION]
        await receive()
        connection = Connection(protocol, self._context, _bearer(scope["headers"]))
        reader = CommandReader(connection)
        chosen = SUBPROTOCOL if scope["subprotocols"] else None
        await send({"type": "websocket.accept", "subprotocol": chosen})
        protocol.on_message = reader.on_message
        deadline = asyncio.get_running_loop().call_later(CONNECT_WITHIN, _give_up, connection)
        try:
            while (message := await receive())["type"] != "websocket.disconnect":
                # Frames that came in one piece with the handshake are still in uvicorn's queue.
                reader.on_message(_data(message), message.get("text") is not None)
        finally:
            deadline.cancel()
            protocol.on_message = None
            connection.lost()


def _give_up(connection: Connection) -> None:
    if not connection.attached and connection.user is None:
        connection.close(CloseCode.NO_PONG)


def _data(message: Message) -> bytes:
    text = message.get("text")
    return text.encode() if text is not None else message.get("bytes") or b""


def _bearer(headers: list[tuple[bytes, bytes]]) -> str | None:
    for name, value in headers:
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return value[7:].decode("latin-1").strip()
    return None


async def _refuse(scope: Any, receive: Receive, send: Send, status: int, *, retry_after: int | None = None) -> None:
    await receive()
    headers = [(b"retry-after", b"%d" % retry_after)] if retry_after is not None else []
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b""})
    # uvicorn forgets this after such an answer, and would log each refusal as an error.
    scope["extensions"][EXTENSION].handshake_complete = True
