"""One connection driven by hand: what is sent and what comes, frame by frame."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from integration.promise import wire
from served import Server
from servers.ports import HOST

PATIENCE_SECONDS = 10.0

Frame = dict[str, Any]


class Tab:
    """A connected device. Frames that were read for one question stay in `frames` for the next."""

    def __init__(self, opened: ClientConnection) -> None:
        """Hold a socket; `open_tab` makes one."""
        self.socket = opened
        self.frames: list[Frame] = []
        self.welcome: Frame = {}
        self._last_id = 0

    @property
    def cursor(self) -> str:
        """Where the server said that this device is."""
        return str(self.welcome["cursor"])

    @property
    def places(self) -> dict[str, int]:
        """The same as positions."""
        return wire.parse_places(self.cursor)[1]

    @property
    def recovered(self) -> bool:
        """Whether the server could go on."""
        return bool(self.welcome["recovered"])

    def events(self, *sources: str) -> list[Frame]:
        """All events read so far, of these sources or of all, each with its `source`."""
        return [
            {"source": frame["source"], **event}
            for frame in self.frames
            if "events" in frame and (not sources or frame["source"] in sources)
            for event in frame["events"]
        ]

    def messages(self, *sources: str) -> list[Frame]:
        """The messages among them."""
        return [event["message"] for event in self.events(*(sources or wire.LANES)) if event["type"] == "message"]

    def answers(self, name: str) -> list[Frame]:
        """The answers to commands of this name."""
        return [frame[name] for frame in self.frames if name in frame and "id" in frame]

    async def read(self, enough: Callable[[], bool], *, seconds: float = PATIENCE_SECONDS) -> None:
        """Read frames until there is enough of them. Raises `TimeoutError`, `ConnectionClosed`."""
        async with asyncio.timeout(seconds):
            while not enough():
                frame = json.loads(await self.socket.recv())
                self.frames.append(frame)
                if "ping" in frame:
                    await self.write({"pong": {}})

    async def read_messages(self, count: int) -> list[Frame]:
        """Read until that many messages have come in both lanes; gives all of them."""
        await self.read(lambda: len(self.messages()) >= count)
        return self.messages()

    async def read_close(self) -> int | None:
        """Read until the server has closed; gives the close code."""
        try:
            await self.read(lambda: False)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else None
        raise AssertionError("unreachable")

    async def write(self, frame: Frame) -> None:
        """Write one frame."""
        await self.socket.send(json.dumps(frame))

    async def submit(self, to: str, client_id: str, **more: Any) -> None:
        """Write a send and go on."""
        self._last_id += 1
        await self.write({"id": self._last_id, "send": wire.send_body(to, client_id, **more)})

    async def send(self, to: str, client_id: str, *, priority: str = "normal") -> Frame:
        """Send and wait for the answer."""
        answered = len(self.answers("send"))
        await self.submit(to, client_id, priority=priority)
        await self.read(lambda: len(self.answers("send")) > answered)
        return self.answers("send")[-1]

    async def settle(self) -> None:
        """Wait until the server has read all that was written here: it answers in order."""
        await self.write({"id": 0, "ping": {}})
        await self.read(lambda: any(frame.get("id") == 0 and "pong" in frame for frame in self.frames))


@asynccontextmanager
async def open_tab(
    server: Server, user: str, device: str | None = "d1", *, cursor: str | None = None, window: int | None = None
) -> AsyncGenerator[Tab]:
    """Connect a device of a user and read the welcome; `window` bounds the bytes that wait for it unread.

    A proxy would read them all and be the slow reader's reader, so such a device connects past it.
    """
    async with connect(
        server.ws_url,
        sock=await _open_socket(server.port if window is None else server.own_port, window),
        subprotocols=[Subprotocol("aldis.v1")],
        compression=None,
        max_size=None,
        max_queue=16 if window is None else 1,
        proxy=None,
        ping_interval=None,
        close_timeout=2,
    ) as opened:
        tab = Tab(opened)
        await opened.send(wire.connect_command(server.token(user), device, cursor).decode())
        await tab.read(lambda: bool(tab.frames))
        tab.welcome = tab.frames.pop(0)["connect"]
        yield tab


async def _open_socket(port: int, window: int | None) -> socket.socket:
    opened = socket.socket()
    opened.setblocking(False)
    if window is not None:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    await asyncio.get_running_loop().sock_connect(opened, (HOST, port))
    return opened
