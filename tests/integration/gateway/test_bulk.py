"""Batches and scheduled sends on the real server: what arrives, in which order, and what they may cost."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aldis.domain.ids import rfc3339
from integration.gateway.sockets import Json, chat, connected, problem, rest, text
from served import HOST, Server, served

pytestmark = pytest.mark.slow
BATCH = "/v1/messages:batch"
MEGABYTE = 1024 * 1024
LIMIT = 8 * MEGABYTE
ORDERS = {
    "apiVersion": "aldis.dev/v1alpha1",
    "kind": "Channel",
    "metadata": {"name": "orders"},
    "spec": {"type": "Notification"},
}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """A server with its usual limits, and a channel."""
    async with served(tmp_path) as server:
        file = tmp_path / "orders.json"
        file.write_text(json.dumps(ORDERS), encoding="utf-8")
        await server.aldis("channel", "apply", str(file))
        yield server


def notice(number: int, user: str = "bob", **more: Any) -> Json:
    return {"to": {"user": user}, "channel": "orders", "client_id": f"n{number}", "content": text(f"{number}"), **more}


def told(results: list[Json]) -> Counter[tuple[int, str | None]]:
    return Counter((result["status"], result.get("error", {}).get("code")) for result in results)


async def test_a_batch_arrives_in_its_order(server: Server) -> None:
    """A thousand at once, of which every tenth is wrong: the others come to the socket as they stand in the batch."""
    key = await server.key()
    messages = [{**notice(n), "content": {}} if n % 10 == 5 else notice(n) for n in range(1000)]
    async with rest(server, key) as http, connected(server, "bob", "phone") as bob:
        answer = await http.post(BATCH, json={"messages": messages})
        events = await bob.events("s", 900)

    results = answer.json()["results"]
    assert told(results) == {(201, None): 900, (400, "bad_request"): 100}
    assert [int(event["message"]["content"]["text"]) for event in events] == [n for n in range(1000) if n % 10 != 5]
    assert [event["message"]["id"] for event in events] == [r["message_id"] for r in results if r["status"] == 201]


async def test_a_user_sends_what_his_rate_allows(server: Server) -> None:
    """Twenty at once; the others are told when, and go when they are repeated then, in their order."""
    messages = [chat("bob", f"{number}") for number in range(30)]
    async with rest(server, server.token("alice")) as http, connected(server, "bob", "phone") as bob:
        first = (await http.post(BATCH, json={"messages": messages})).json()["results"]
        waits = [result["error"]["retry_after_ms"] for result in first[20:]]
        events = await bob.events("s", 20)

    assert told(first) == {(201, None): 20, (429, "rate_limited"): 10}
    assert waits == sorted(waits)
    assert waits[-1] - waits[0] == pytest.approx(9 * 200, abs=1)
    assert [event["message"]["content"]["text"] for event in events] == [f"{number}" for number in range(20)]


async def test_too_many_messages_are_refused_whole(server: Server) -> None:
    """One more than a thousand: nothing of it is stored."""
    async with rest(server, await server.key()) as http:
        answer = await http.post(BATCH, json={"messages": [notice(n) for n in range(1001)]})
        stored = await http.get("/v1/scheduled")

    assert problem(answer) == (413, "too_large")
    assert answer.json()["field"] == "messages"
    assert stored.status_code == 200


async def test_a_body_that_is_too_large_is_refused_while_it_comes(server: Server) -> None:
    """The first byte too many ends it. A client that writes all before it reads is answered, too, if it ends soon."""
    async with rest(server, await server.key()) as http:
        for size in (LIMIT + 1, 2 * LIMIT):
            declared = await http.post(BATCH, content=b" " * size)
            streamed = await http.post(BATCH, content=stream(size))
            assert problem(declared) == problem(streamed) == (413, "too_large")
        single = await http.post("/v1/messages", content=b" " * MEGABYTE)
        endless = Endless()
        with pytest.raises(httpx2.TransportError):
            await http.post(BATCH, content=endless.stream())

    assert problem(single) == (413, "too_large")
    assert endless.given < 10 * LIMIT  # the limit, what is dropped after the answer, and what the kernel buffers


async def stream(size: int) -> AsyncIterator[bytes]:
    """A body of which nobody knows the length."""
    while size > 0:
        yield b" " * min(size, MEGABYTE)
        size -= MEGABYTE


class Endless:
    """A body without an end."""

    given = 0

    async def stream(self) -> AsyncIterator[bytes]:
        while self.given < 100 * LIMIT:
            self.given += MEGABYTE
            yield b" " * MEGABYTE


async def test_large_batches_at_once_take_bounded_memory(server: Server) -> None:
    """Forty connections send seven megabytes each and do not end: what has no room is refused; it comes back."""
    key, token = await server.key(), server.token("alice")
    part = b" " * MEGABYTE
    before = server.rss()
    async with rest(server, key) as http:
        streams = [await hold_open(server, key if n % 2 else token, part * 7) for n in range(40)]
        deadline = time.monotonic() + 20
        while (refused := sum(reader.at_eof() or bool(reader._buffer) for reader, _ in streams)) < 30:  # type: ignore[attr-defined]
            assert time.monotonic() < deadline, f"only {refused} were refused"
            await asyncio.sleep(0.05)
        most = server.rss()
        meanwhile = await http.post("/v1/messages", json=notice(1))
        for _, writer in streams:
            writer.close()
        while (answer := await http.post(BATCH, json={"messages": [notice(2)]})).status_code != 200:
            assert answer.json()["code"] in {"rate_limited", "unavailable"}
            await asyncio.sleep(0.05)

    assert meanwhile.status_code == 201
    assert most - before < 100 * MEGABYTE, f"{(most - before) / MEGABYTE:.0f} MB more than before"


async def hold_open(server: Server, credential: str, body: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A batch that has not come to its end."""
    reader, writer = await asyncio.open_connection(HOST, server.port)
    lines = [
        f"POST {BATCH} HTTP/1.1",
        f"Host: {HOST}",
        f"Authorization: Bearer {credential}",
        f"Content-Length: {LIMIT}",
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    return reader, writer


async def test_a_scheduled_send_arrives_in_time(server: Server) -> None:
    """At its time and not before, not more than a second late, as news on the socket."""
    async with rest(server, await server.key()) as http, connected(server, "bob", "phone") as bob:
        due = [int(time.time() * 1000) + wait for wait in (300, 700, 1500)]
        messages = [notice(n, send_at=rfc3339(at)) for n, at in enumerate(due)]
        results = (await http.post(BATCH, json={"messages": messages})).json()["results"]
        heard: list[float] = []
        while len(heard) < len(due):  # one frame may have several
            heard += [time.time() * 1000 for _ in await bob.events("s", 1)]
        late = [at - wanted for wanted, at in zip(due, heard, strict=True)]

    assert [result["status"] for result in results] == [202] * 3
    assert all(0 <= ms < 1000 for ms in late), late
