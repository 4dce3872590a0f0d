"""A client of the socket that says exactly what a test tells it to, and what it was answered."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from aldis.domain.errors import CODES
from described import check_frame, check_response
from served import Server

WAIT = 10.0  # seconds for any answer
Json = dict[str, Any]
ERROR_FIELDS = {"code", "message", "field", "retryable", "retry_after_ms"}

_numbers = count(1)


def new_name(stem: str) -> str:
    """A user that no other test has."""
    return f"{stem}-{next(_numbers)}"


def text(words: str = "hi") -> Json:
    """A content."""
    return {"type": "text", "text": words}


def chat(user: str, words: str = "hi", **more: Any) -> Json:
    """The body of a send to a user."""
    return {"to": {"user": user}, "client_id": new_name("c"), "content": text(words), **more}


class Client:
    """One socket. Frames that are no answer are kept in `news`, in order."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.news: list[Json] = []

    async def say(self, frame: Json | str | bytes) -> None:
        """Send a frame as it is."""
        await self.socket.send(json.dumps(frame) if isinstance(frame, dict) else frame)

    async def hear(self) -> Json:
        """The next frame."""
        async with asyncio.timeout(WAIT):
            frame: Json = json.loads(await self.socket.recv())
        check_frame(frame)
        return frame

    async def ask(self, **command: Any) -> Json:
        """The reply to a command, whole."""
        number = next(_numbers)
        await self.say({"id": number, **command})
        while (frame := await self.hear()).get("id") != number:
            self.news.append(frame)
        if "error" not in frame:  # what the server takes is described
            check_frame({"id": number, **command}, by_client=True)
        return frame

    async def send(self, body: Json) -> Json:
        """Where a message was stored."""
        reply = await self.ask(send=body)
        assert "send" in reply, reply
        stored: Json = reply["send"]
        return stored

    async def refused(self, **command: Any) -> tuple[str, str | None]:
        """The code and the field of the error that a command is answered with."""
        return refusal(await self.ask(**command))

    async def events(self, source: str, number: int) -> list[Json]:
        """The next events of a source, from the news."""
        found: list[Json] = []
        while len(found) < number:
            frame = self.news.pop(0) if self.news else await self.hear()
            found += frame["events"] if frame.get("source") == source else []
        return found

    async def ended(self) -> tuple[int | None, Json | None]:
        """The code the server closes with, and what it said just before."""
        try:
            while True:
                self.news.append(await self.hear())
        except ConnectionClosed as closed:
            told = self.news[-1].get("disconnect") if self.news else None
            return (closed.rcvd.code if closed.rcvd is not None else None), told


def refusal(frame: Json) -> tuple[str, str | None]:
    """The code and the field of an error frame, whose shape is the documented one."""
    error = frame["error"]
    assert set(error) == ERROR_FIELDS
    assert error["code"] in CODES
    return error["code"], error["field"]


@asynccontextmanager
async def open_socket(server: Server, **options: Any) -> AsyncGenerator[Client]:
    """A socket that has not said anything yet."""
    given: Json = {"subprotocols": ["aldis.v1"], "compression": None, "max_size": None, "proxy": None, **options}
    socket = await connect(server.ws_url, close_timeout=1, **given)
    try:
        yield Client(socket)
    finally:
        with suppress(ConnectionClosed):
            await socket.close()


@asynccontextmanager
async def connected(
    server: Server, user: str, device: str | None = None, *, token: str | None = None, cursor: str | None = None
) -> AsyncGenerator[Client]:
    """A socket that is connected."""
    command: Json = {"token": token or server.token(user), "cursor": cursor}
    if device is not None:
        command["device"] = {"id": device, "platform": "web"}
    async with open_socket(server) as client:
        assert "connect" in await client.ask(connect=command)
        yield client


@asynccontextmanager
async def rest(server: Server, credential: str) -> AsyncGenerator[httpx2.AsyncClient]:
    """REST with a token or a key."""
    headers = {"authorization": f"Bearer {credential}"}
    async with httpx2.AsyncClient(
        base_url=server.url,
        headers=headers,
        trust_env=False,
        timeout=WAIT,
        event_hooks={"response": [check_response]},
    ) as client:
        yield client


def problem(response: httpx2.Response) -> tuple[int, str]:
    """The status and the code of a refusal by REST."""
    assert response.headers["content-type"].startswith("application/problem+json"), response.text
    return response.status_code, response.json()["code"]


async def talk(server: Server, one: str, other: str, words: Sequence[str] = ("hi",)) -> Json:
    """Let one user write to another; where the last message was stored."""
    stored: Json = {}
    async with connected(server, one) as client:
        for said in words:
            stored = await client.send(chat(other, said))
    return stored
