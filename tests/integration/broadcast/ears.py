"""Listeners of broadcasts without a client library: raw frames, judged as they come.

An ear keeps its cursor, comes back when its socket ends, and holds every frame to the rules: within a connection the
positions of a source only rise, and what was applied before is not shown again.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import httpx2
import yaml
from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from aldis.telemetry.tasks import cancel_and_wait, spawn
from integration.promise import wire
from served import Server

WAIT_SECONDS = 60.0
BROADCASTS = ("be", "bs")


class _Line(WSListener):
    """One connection of an ear."""

    def __init__(self, ear: "Ear") -> None:
        super().__init__()
        self._ear = ear
        self.transport: WSTransport | None = None
        self.ended = asyncio.Event()

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Introduce the device."""
        self.transport = transport
        transport.send(WSMsgType.TEXT, self._ear.hello())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Let the ear come back."""
        self.transport = None
        self.ended.set()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Hand a frame over."""
        if frame.msg_type == WSMsgType.TEXT:
            try:
                self._ear.take(transport, wire.decode(frame.get_payload_as_memoryview()))
            except Exception as error:  # noqa: BLE001 - picows would only log it, and the test would not know
                self._ear.faults.append(f"{self._ear.user}: {error!r}")
        elif frame.msg_type == WSMsgType.CLOSE:
            self._ear.faults.append(f"{self._ear.user} was closed with {cast('int', frame.get_close_code())}")
            transport.disconnect()


class Ear:
    """One device of a user; `run` keeps it connected."""

    def __init__(self, server: Server, user: str, device: str = "d1", *, acks: bool = True) -> None:
        """Belong to a user."""
        self.user = user
        self.device = device
        self.heard: dict[str, list[tuple[int, str]]] = {source: [] for source in wire.SOURCES}
        self.types: list[str] = []
        self.applied: dict[str, int] = {}
        self.repeated = 0
        self.faults: list[str] = []
        self.connects = 0
        self.is_up = asyncio.Event()
        self._acks = acks
        self._server = server
        self._epoch = ""
        self._line: _Line | None = None
        self._written: dict[str, int] = {}

    async def run(self) -> None:
        """Be connected, and come back."""
        try:
            while True:
                with suppress(OSError, WSError, TimeoutError):
                    await self._live()
                await asyncio.sleep(random.uniform(0, 0.1))
        finally:
            self.is_up.clear()

    async def _live(self) -> None:
        line = self._line = _Line(self)
        try:
            async with asyncio.timeout(10):
                await ws_connect(
                    lambda: line, self._server.ws_url, enable_auto_ping=False, use_aiofastnet=False,
                    websocket_handshake_timeout=None, extra_headers={"Sec-WebSocket-Protocol": "aldis.v1"},
                )  # fmt: skip
            if line.transport is not None:
                await line.ended.wait()
        finally:
            self.is_up.clear()
            self.flap()

    def flap(self) -> None:
        """Lose the socket, as a phone does."""
        line = self._line
        if line is not None and line.transport is not None and not line.transport.is_disconnected:
            with suppress(WSError, OSError):
                line.transport.disconnect()

    def hello(self) -> bytes:
        """The connect command, with the cursor that was kept."""
        cursor = wire.format_places(self._epoch, self.applied) if self.applied else None
        return wire.connect_command(self._server.token(self.user), self.device, cursor)

    def take(self, transport: WSTransport, frame: wire.Frame) -> None:
        """Do what the contract asks of a client."""
        if frame.connect is not None:
            self._connected(frame.connect)
        elif frame.source is not None:
            self._apply(frame.source, frame.events)
            if self._acks:
                transport.send(WSMsgType.TEXT, wire.ack_command({frame.source: frame.events[-1].pos}))
        elif frame.ping is not None:
            transport.send(WSMsgType.TEXT, b'{"pong":{}}')
        elif frame.error is not None:
            self.faults.append(f"{self.user}: {frame.error}")

    def _connected(self, connected: wire.Connected) -> None:
        self._epoch, places = wire.parse_places(connected.cursor)
        if self.connects and not connected.recovered:
            self.faults.append(f"{self.user} was not recovered")
        self._written = dict(places)
        self.applied = self.applied or dict(places)
        self.connects += 1
        self.is_up.set()

    def _apply(self, source: str, events: Sequence[wire.Event]) -> None:
        for event in events:
            if event.pos <= self._written[source]:
                self.faults.append(f"{self.user}: {source}{event.pos} after {source}{self._written[source]}")
            self._written[source] = event.pos
            if event.pos <= self.applied[source]:
                self.repeated += 1
                continue
            self.applied[source] = event.pos
            self.types.append(event.type)
            if event.message is not None:
                self.heard[source].append((event.pos, event.message.id))

    @property
    def ids(self) -> list[str]:
        """The broadcasts heard, express first."""
        return [message_id for source in BROADCASTS for _, message_id in self.heard[source]]


@asynccontextmanager
async def listening(ears: Sequence[Ear]) -> AsyncIterator[None]:
    """Have all of them connected."""
    tasks = [spawn(ear.run(), f"ear-{ear.user}") for ear in ears]
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            for ear in ears:
                await ear.is_up.wait()
        yield
    finally:
        await cancel_and_wait(*tasks)


class Station:
    """A backend that broadcasts, and what users ask for by REST."""

    def __init__(self, server: Server, http: httpx2.AsyncClient, key: str) -> None:
        """Hold a key."""
        self._server = server
        self.http = http
        self._key = key

    async def broadcast(self, channel: str, text: str, **more: object) -> dict[str, Any]:
        """Send, and answer what the server said."""
        body = {"to": {"channel": channel}, "content": {"type": "text", "text": text}, **more}
        response = await self.http.post("/v1/messages", json=body, headers=self.backend)
        assert response.status_code == 201, response.text
        answer: dict[str, Any] = response.json()
        return answer

    @property
    def backend(self) -> dict[str, str]:
        """The backend's headers."""
        return {"authorization": f"Bearer {self._key}"}

    def user(self, user: str) -> dict[str, str]:
        """A user's headers."""
        return {"authorization": f"Bearer {self._server.token(user)}"}

    async def subscribe(self, user: str, channel: str) -> None:
        """Hear a channel."""
        response = await self.http.put(f"/v1/subscriptions/{channel}", headers=self.user(user))
        assert response.status_code == 204, response.text

    async def unsubscribe(self, user: str, channel: str) -> None:
        """Hear it no more."""
        response = await self.http.delete(f"/v1/subscriptions/{channel}", headers=self.user(user))
        assert response.status_code == 204, response.text

    async def get(self, user: str, path: str) -> dict[str, Any]:
        """What a user reads."""
        response = await self.http.get(path, headers=self.user(user))
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer


@asynccontextmanager
async def on_air(server: Server, *channels: tuple[str, dict[str, str]]) -> AsyncIterator[Station]:
    """A backend with its channels declared."""
    for name, spec in channels:
        document = {
            "apiVersion": "aldis.dev/v1alpha1", "kind": "Channel", "metadata": {"name": name},
            "spec": {"type": "Broadcast", **spec},
        }  # fmt: skip
        file = server.data_dir / f"{name}.yaml"
        file.write_text(yaml.safe_dump(document), encoding="utf-8")
        await server.aldis("channel", "apply", str(file))
    key = await server.key("station")
    limits = httpx2.Limits(max_connections=50)
    async with httpx2.AsyncClient(base_url=server.url, timeout=30, limits=limits) as http:
        yield Station(server, http, key)
