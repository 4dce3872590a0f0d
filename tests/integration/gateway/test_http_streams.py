"""Server-sent events and long poll on the real process: the socket's promise over HTTP."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aldis.gateway.http_streams import PAGE_SECONDS
from aldis.telemetry.tasks import cancel_and_wait, spawn
from integration.broadcast.ears import on_air
from integration.promise.crowd import wait_until
from served import Server, served

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with served(tmp_path, open_throttle=True, ALDIS_PING_INTERVAL="1") as server:
        yield server


@pytest.fixture
async def http(server: Server) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=server.url, timeout=60) as http:
        yield http


class Reader:
    """A reader of server-sent events."""

    def __init__(self, http: httpx2.AsyncClient, server: Server, user: str) -> None:
        self.frames: list[dict[str, Any]] = []
        self.last_id: str | None = None
        self.comments = 0
        self.has_ended = False
        self._http = http
        self._headers = {"authorization": f"Bearer {server.token(user)}"}

    async def read(self, device: str) -> None:
        headers = self._headers | ({"last-event-id": self.last_id} if self.last_id is not None else {})
        async with self._http.stream("GET", f"/v1/events?device={device}", headers=headers) as response:
            assert response.status_code == 200
            assert response.headers["content-type"].startswith("text/event-stream")
            async for line in response.aiter_lines():
                self._take(line)
        self.has_ended = True

    def _take(self, line: str) -> None:
        if line.startswith("id: "):
            self.last_id = line[4:]
        elif line.startswith("data: "):
            self.frames.append(json.loads(line[6:]))
        elif line.startswith(":"):
            self.comments += 1

    @property
    def texts(self) -> list[str]:
        found = [event for frame in self.frames if frame.get("source") in {"e", "s"} for event in frame["events"]]
        return [event["message"]["content"]["text"] for event in found]


@asynccontextmanager
async def reading(reader: Reader, device: str = "d1") -> AsyncIterator[None]:
    task = spawn(reader.read(device), "reader")
    try:
        yield
    finally:
        await cancel_and_wait(task)


async def send(http: httpx2.AsyncClient, server: Server, text: str, to: str = "bob") -> None:
    body = {"to": {"user": to}, "content": {"type": "text", "text": text}}
    response = await http.post("/v1/messages", json=body, headers={"authorization": f"Bearer {server.token('ann')}"})
    assert response.status_code == 201, response.text


async def sync(http: httpx2.AsyncClient, server: Server, **query: Any) -> dict[str, Any]:
    response = await http.get("/v1/sync", params=query, headers={"authorization": f"Bearer {server.token('bob')}"})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def texts_of(answer: dict[str, Any]) -> list[str]:
    events = [event for frame in answer["frames"] for event in frame.get("events", ()) if event["type"] == "message"]
    return [event["message"]["content"]["text"] for event in events]


async def test_events_tell_what_waited_and_what_comes(server: Server, http: httpx2.AsyncClient) -> None:
    """The first event answers the connecting; then comes what waited, then what is sent, each once and in order."""
    for number in range(300):
        await send(http, server, f"waits {number}")
    reader = Reader(http, server, "bob")
    async with reading(reader):
        await wait_until(lambda: len(reader.texts) == 300, "what waited is read")
        await send(http, server, "live")
        await wait_until(lambda: len(reader.texts) == 301, "the live one is read")

    assert reader.texts == [f"waits {number}" for number in range(300)] + ["live"]
    assert reader.frames[0]["connect"]["user"] == "bob"


async def test_a_stream_goes_on_behind_the_last_event(server: Server, http: httpx2.AsyncClient) -> None:
    """`Last-Event-ID` resumes: nothing is missing and nothing comes twice, also after a crash of the server."""
    reader = Reader(http, server, "bob")
    expected = [f"n{number}" for number in range(18)]
    for turn in range(3):
        *during, away = expected[6 * turn : 6 * turn + 6]
        async with reading(reader):
            for text in during:
                await send(http, server, text)
            await wait_until(lambda last=during[-1]: last in reader.texts, "all is read")  # type: ignore[misc]
        await send(http, server, away)
        await server.kill()
        await server.start()
    async with reading(reader):
        await wait_until(lambda: expected[-1] in reader.texts, "the rest is read")

    assert reader.texts == expected


async def test_a_quiet_stream_is_kept_alive_and_ends_with_its_token(server: Server, http: httpx2.AsyncClient) -> None:
    """Comments keep proxies awake; the stream lives no longer than its token, and says why it ends."""
    reader = Reader(http, server, "bob")
    reader._headers = {"authorization": f"Bearer {server.token('bob', seconds=4)}"}
    async with reading(reader):
        await wait_until(lambda: reader.comments > 0, "it is kept alive")
        await wait_until(lambda: reader.has_ended, "it ends")

    assert reader.frames[-1]["disconnect"]["code"] == 4401


async def test_a_device_has_one_stream(server: Server, http: httpx2.AsyncClient) -> None:
    """A second one of the same device takes the place of the first, as on the socket."""
    first, second = Reader(http, server, "bob"), Reader(http, server, "bob")
    async with reading(first):
        await wait_until(lambda: bool(first.frames), "the first is open")
        async with reading(second):
            await wait_until(lambda: first.has_ended, "the first has ended")
            await send(http, server, "one")
            await wait_until(lambda: second.texts == ["one"], "the second is told")

    assert first.frames[-1]["disconnect"]["code"] == 4409


async def test_a_poll_answers_at_once_what_waited(server: Server, http: httpx2.AsyncClient) -> None:
    """All of it over several polls by the cursor, in order and once; then nothing is left to wait for."""
    for number in range(500):
        await send(http, server, f"n{number}" + "." * 1000)
    texts: list[str] = []
    cursor: dict[str, str] = {}
    polls = 0
    while len(texts) < 500 and polls < 50:
        answer = await sync(http, server, device="d1", wait=0, **cursor)
        texts += texts_of(answer)
        cursor = {"cursor": answer["cursor"]}
        polls += 1

    assert [text.rstrip(".") for text in texts] == [f"n{number}" for number in range(500)]
    assert polls > 1
    assert texts_of(await sync(http, server, device="d1", wait=0, **cursor)) == []


async def test_a_poll_waits_for_what_comes(server: Server, http: httpx2.AsyncClient) -> None:
    """It answers as soon as there is something, and empty when its time is over."""
    first = await sync(http, server, device="d1", wait=0)
    waiting = asyncio.gather(sync(http, server, device="d1", wait=30, cursor=first["cursor"]))
    await send(http, server, "now")
    (second,) = await waiting
    third = await sync(http, server, device="d1", wait=0.2, cursor=second["cursor"])

    assert (texts_of(second), texts_of(third)) == (["now"], [])
    assert (third["recovered"], third["cursor"]) == (True, second["cursor"])


async def test_a_poll_is_acknowledged_by_rest(server: Server, http: httpx2.AsyncClient) -> None:
    """A known device without a cursor goes on from what it acknowledged; polling alone acknowledges nothing."""
    await send(http, server, "one")
    assert texts_of(await sync(http, server, device="d1", wait=0)) == ["one"]
    assert texts_of(await sync(http, server, device="d1", wait=0)) == ["one"]
    bob = {"authorization": f"Bearer {server.token('bob')}"}
    acknowledged = await http.post("/v1/ack?device=d1", json={"s": 1}, headers=bob)
    await send(http, server, "two")

    assert acknowledged.status_code == 204
    assert texts_of(await sync(http, server, device="d1", wait=0)) == ["two"]


@pytest.mark.parametrize("path", ["/v1/events", "/v1/sync"])
@pytest.mark.parametrize(
    ("query", "code"), [("cursor=x", "bad_cursor"), ("device=a%20b", "bad_request"), ("colour=red", "unknown_field")]
)
async def test_a_wrong_question_is_refused(
    server: Server, http: httpx2.AsyncClient, path: str, query: str, code: str
) -> None:
    """With the usual errors, before anything is opened."""
    response = await http.get(f"{path}?{query}", headers={"authorization": f"Bearer {server.token('bob')}"})

    assert (response.status_code, response.json()["code"]) == (400, code)


async def test_a_reload_tells_where_to_go_on(server: Server, http: httpx2.AsyncClient) -> None:
    """A cursor of another epoch is not recovered: nothing of before comes, and the new cursor is right."""
    await send(http, server, "before")
    answer = await sync(http, server, device="d1", wait=0, cursor="other.e0.s0.be0.bs0.r0")
    await send(http, server, "after")
    following = await sync(http, server, device="d1", wait=0, cursor=answer["cursor"])

    assert (answer["recovered"], texts_of(answer), texts_of(following)) == (False, [], ["after"])


async def test_a_poll_with_news_does_not_wait_for_what_is_not_for_its_user(tmp_path: Path) -> None:
    """Where a broadcast that others hear lies above what it has, there is nothing more to come."""
    async with served(tmp_path, open_throttle=True) as calm, on_air(calm, ("news", {})) as station:
        await station.broadcast("news", "for others")
        await send(station.http, calm, "for bob")
        begun = time.monotonic()
        answer = await sync(station.http, calm, device="d1", wait=30)

    assert texts_of(answer) == ["for bob"]
    assert ".bs1." in answer["cursor"]
    assert time.monotonic() - begun < PAGE_SECONDS
