"""Batches and scheduled sends under `kill -9`: each message once, in its order, whatever was under way."""

import asyncio
import json
import random
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from aldis.domain.ids import rfc3339
from aldis.telemetry.tasks import spawn
from integration.gateway.sockets import Json, rest
from served import Server, served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
BATCH = "/v1/messages:batch"
KILLS = 4
LONGEST_LIFE = 1.0  # seconds from readiness to the next kill
SETTLED_SECONDS = 40.0  # a lease of one that was killed has to end first


def notice(number: int, user: str, **more: str) -> Json:
    content = {"type": "text", "text": f"{number}"}
    return {"to": {"user": user}, "channel": "orders", "client_id": f"n{number}", "content": content, **more}


async def declared(server: Server, folder: Path) -> str:
    """A key, and the channel of the test."""
    spec = {"type": "Notification"}
    document = {"apiVersion": "aldis.dev/v1alpha1", "kind": "Channel", "metadata": {"name": "orders"}, "spec": spec}
    file = folder / "orders.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    await server.aldis("channel", "apply", str(file))
    return await server.key("shop")


def stored(server: Server) -> list[tuple[str, int, int]]:
    """Conversation, seq and number of each message, in order."""
    query = "SELECT conversation_id, seq, json_extract(content, '$.text') FROM messages ORDER BY conversation_id, seq"
    with closing(sqlite3.connect(f"file:{server.data_dir / 'aldis.db'}?mode=ro", uri=True)) as database:
        return [(conversation, seq, int(number)) for conversation, seq, number in database.execute(query)]


async def kill_again_and_again(server: Server, chance: random.Random) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.05, LONGEST_LIFE))  # the moment is what is tested, not waited for
        await server.kill()
        await server.start()


async def test_batches_are_stored_once_and_in_order(tmp_path: Path) -> None:
    """Each batch is repeated until it is answered; nothing is lost or doubled, and each user's follow one another."""
    chance = random.Random(time.time_ns())
    async with served(tmp_path, open_throttle=True) as server:
        key = await declared(server, tmp_path)
        confirmed: dict[int, str] = {}
        killing = spawn(kill_again_and_again(server, chance), "kills")
        first = 0
        while not killing.done() or first < 3000:
            batch = [notice(number, f"user-{number % 7}") for number in range(first, first + 300)]
            results = await post_until_answered(server, key, batch)
            confirmed |= {first + result["index"]: result["message_id"] for result in results}
            first += 300
        await killing
        found = stored(server)

    assert len(confirmed) == first
    assert Counter(number for *_, number in found) == Counter(range(first))
    for conversation in {conversation for conversation, *_ in found}:
        own = [(seq, number) for of, seq, number in found if of == conversation]
        assert [seq for seq, _ in own] == list(range(1, len(own) + 1))
        assert [number for _, number in own] == sorted(number for _, number in own)


async def post_until_answered(server: Server, key: str, messages: list[Json]) -> list[Json]:
    """The results, once all of them are there: what has no answer, or none but `unavailable`, is repeated."""
    while True:
        try:
            async with rest(server, key) as http:
                answer = await http.post(BATCH, json={"messages": messages})
        except httpx2.TransportError:
            await asyncio.sleep(0.05)
            continue
        if answer.status_code == 200:
            results: list[Json] = answer.json()["results"]
            if all(result["status"] == 201 for result in results):
                return results


async def test_scheduled_sends_are_sent_once(tmp_path: Path) -> None:
    """Hundreds are due while the server is killed: each is sent, and once, and nothing of them is left."""
    chance = random.Random(time.time_ns())
    async with served(tmp_path, open_throttle=True) as server:
        key = await declared(server, tmp_path)
        begun = int(time.time() * 1000) + 1000
        count = 900
        for first in range(0, count, 300):
            due = [rfc3339(begun + chance.randrange(6000)) for _ in range(300)]
            messages = [notice(first + n, f"user-{n % 7}", send_at=at) for n, at in enumerate(due)]
            async with rest(server, key) as http:
                results = (await http.post(BATCH, json={"messages": messages})).json()["results"]
            assert [result["status"] for result in results] == [202] * 300
        await kill_again_and_again(server, chance)
        async with rest(server, key) as http, asyncio.timeout(SETTLED_SECONDS):
            while (await http.get("/v1/scheduled?limit=1")).json()["items"]:
                await asyncio.sleep(0.1)
        found = stored(server)

    assert Counter(number for *_, number in found) == Counter(range(count))
