"""One websocket to the server: frames in and out, answers to commands, signs of life, and how it ended."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus
from websockets.typing import Subprotocol

from aldis_client.cursor import Cursor
from aldis_client.ending import ConnectionEnded, Ending, ending_of_http
from aldis_client.errors import CursorError
from aldis_client.events import BadFrame
from aldis_client.stats import Stats

Frame = dict[str, Any]
OnReply = Callable[[Frame], None]

SUBPROTOCOL = Subprotocol("aldis.v1")
MAX_FRAME_BYTES = 4 * 1024 * 1024
OPEN_SECONDS = 10.0
"""For the handshake, and again for the answer to the connect command."""
CLOSE_SECONDS = 2.0
REPLY_SECONDS = 30.0
"""A command unanswered for this long means that the connection is not what it seems."""
GRACE_SECONDS = 5.0
"""What a ping may be late, after two intervals without any frame, before the connection counts as dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """The server's answer to the connect command; `ping_interval` in seconds."""

    connection: str
    user: str
    cursor: Cursor
    recovered: bool
    ping_interval: float
    limits: Mapping[str, Any]


@asynccontextmanager
async def open_connection(
    url: str, *, proxy: str | Literal[True] | None, on_frame: Callable[[str], None] | None, stats: Stats
) -> AsyncIterator["Connection"]:
    """Open a websocket and close it at the end. Raises `ConnectionEnded` when none can be had."""
    connection = Connection(await _open_socket(url, proxy), on_frame=on_frame, stats=stats)
    try:
        yield connection
    finally:
        await connection.close()


async def _open_socket(url: str, proxy: str | Literal[True] | None) -> ClientConnection:
    try:
        return await connect(
            url,
            subprotocols=[SUBPROTOCOL],
            compression=None,
            max_size=MAX_FRAME_BYTES,
            # The protocol has pings of its own, which tell as much without a second clock.
            ping_interval=None,
            open_timeout=OPEN_SECONDS,
            close_timeout=CLOSE_SECONDS,
            proxy=proxy,
        )
    except InvalidStatus as refusal:
        response = refusal.response
        raise ConnectionEnded(ending_of_http(response.status_code, response.headers.get("Retry-After"))) from refusal
    except (OSError, TimeoutError, InvalidHandshake, InvalidMessage) as error:
        raise ConnectionEnded(Ending(reason=f"no connection: {str(error) or type(error).__name__}")) from error


class Connection:
    """An open websocket. Every method that reads or writes raises `ConnectionEnded` once it is gone."""

    def __init__(self, socket: ClientConnection, *, on_frame: Callable[[str], None] | None, stats: Stats) -> None:
        self._socket = socket
        self._on_frame = on_frame
        self._stats = stats
        self._clock = asyncio.get_running_loop().time
        self._last_id = 0
        self._replies: dict[int, tuple[float, OnReply]] = {}
        self._requests: set[asyncio.Future[Frame]] = set()
        self._farewell = Ending()
        self._patience = OPEN_SECONDS
        self.ping_interval = OPEN_SECONDS

    @property
    def awaits_reply(self) -> bool:
        """Whether a command has no answer yet."""
        return bool(self._replies)

    async def hello(self, fields: Frame) -> Welcome:
        """Introduce this device; the first thing to do. A refusal is an ending."""
        answers: list[Frame] = []
        await self.command("connect", fields, answers.append)
        while not answers:
            await self.receive()
        if "error" in answers[0]:
            raise ConnectionEnded(await self._refusal(answers[0]["error"]))
        try:
            welcome = _parse_welcome(answers[0]["connect"])
        except BadFrame as error:
            raise self._bad_frame(str(error)) from error
        self.ping_interval = welcome.ping_interval
        self._patience = 2 * welcome.ping_interval + GRACE_SECONDS
        return welcome

    async def receive(self) -> Frame:
        """The next frame. Pings, answers and farewells have been dealt with when it is returned."""
        raw = await self._read()
        self._stats.frames += 1
        if self._on_frame is not None:
            self._on_frame(raw)
        frame = self._parse(raw)
        if "ping" in frame:
            await self.transmit({"pong": {}})
        elif "disconnect" in frame:
            self._farewell = _parse_farewell(frame["disconnect"])
        elif (reply := self._replies.pop(frame.get("id", 0), None)) is not None:
            self._pass_on(frame, reply[1])
        self._check_replies()
        return frame

    async def transmit(self, frame: Frame) -> None:
        """Write one frame; waits while the network is slower than we are."""
        try:
            await self._socket.send(json.dumps(frame, ensure_ascii=False, separators=(",", ":")))
        except ConnectionClosed as closed:
            raise ConnectionEnded(self._ending(closed)) from closed

    async def command(self, name: str, body: Mapping[str, Any], on_reply: OnReply) -> None:
        """Write a command under a new id; `on_reply` gets its answer, unless the connection ends first."""
        self._last_id += 1
        self._replies[self._last_id] = (self._clock(), on_reply)
        await self.transmit({"id": self._last_id, name: body})

    async def request(self, name: str, body: Mapping[str, Any]) -> Frame:
        """Write a command and wait for its answer."""
        answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._requests.add(answer)
        answer.add_done_callback(self._requests.discard)
        await self.command(name, body, lambda frame: None if answer.done() else answer.set_result(frame))
        return await answer

    async def close(self) -> None:
        """Close the socket; what still waits for an answer gets `ConnectionEnded`."""
        for answer in list(self._requests):
            if not answer.done():
                answer.set_exception(ConnectionEnded(Ending(reason="connection lost before the answer")))
        await self._socket.close()

    async def _read(self) -> str:
        try:
            async with asyncio.timeout(self._patience):
                return await self._socket.recv(decode=True)
        except TimeoutError as error:
            raise ConnectionEnded(Ending(reason=f"no frame for {self._patience:.0f} s")) from error
        except ConnectionClosed as closed:
            raise ConnectionEnded(self._ending(closed)) from closed
        except UnicodeDecodeError as error:
            raise self._bad_frame("a frame is not UTF-8") from error

    def _parse(self, raw: str) -> Frame:
        try:
            frame = json.loads(raw)
        except ValueError as error:
            raise self._bad_frame("a frame is not JSON") from error
        if not isinstance(frame, dict):
            raise self._bad_frame("a frame is not an object")
        return frame

    def _pass_on(self, frame: Frame, on_reply: OnReply) -> None:
        try:
            on_reply(frame)
        except BadFrame as error:
            raise self._bad_frame(str(error)) from error

    def _bad_frame(self, reason: str) -> ConnectionEnded:
        self._stats.bad_frames += 1
        return ConnectionEnded(Ending(reason=reason))

    def _check_replies(self) -> None:
        oldest = next(iter(self._replies.values()), None)
        if oldest is not None and self._clock() - oldest[0] > REPLY_SECONDS:
            raise ConnectionEnded(Ending(reason=f"a command had no answer for {REPLY_SECONDS:.0f} s"))

    def _ending(self, closed: ConnectionClosed) -> Ending:
        told, seen = self._farewell, closed.rcvd
        return Ending(
            code=told.code if seen is None else seen.code,
            reason=told.reason or (seen.reason if seen is not None else "") or "connection lost",
            after_seconds=told.after_seconds,
            final=told.final,
        )

    async def _refusal(self, error: Mapping[str, Any]) -> Ending:
        """A refused connect command is followed by a close frame, whose code decides; not for long."""
        code = None
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                while True:
                    await self.receive()
        except TimeoutError:
            pass
        except ConnectionEnded as ended:
            code = ended.ending.code
        reason = f"{error.get('code', 'refused')}: {error.get('message', '')}"
        after = (error.get("retry_after_ms") or 0) / 1000
        return Ending(code=code, reason=reason, after_seconds=after, final=not error.get("retryable", False))


def _parse_welcome(fields: Mapping[str, Any]) -> Welcome:
    try:
        return Welcome(
            connection=str(fields["connection"]),
            user=str(fields["user"]),
            cursor=Cursor.parse(fields["cursor"]),
            recovered=bool(fields["recovered"]),
            ping_interval=max(1.0, float(fields["ping_interval"])),
            limits=fields.get("limits") or {},
        )
    except (KeyError, TypeError, AttributeError, CursorError, ValueError) as error:
        raise BadFrame(f"the answer to connect is not as it should be: {error}") from error


def _parse_farewell(fields: Mapping[str, Any]) -> Ending:
    return Ending(
        code=fields.get("code"),
        reason=str(fields.get("reason") or ""),
        after_seconds=(fields.get("after_ms") or 0) / 1000,
        final=fields.get("reconnect") is False,
    )
