"""Messages that nobody acknowledges, on a real server: rings, failures, late acknowledgements, replays, kill -9."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from integration.gateway.sockets import Client, connected, new_name, rest, text
from served import Server, served

pytestmark = pytest.mark.slow
LETTERS = "/v1/admin/dead-letters"
HASTY = {"maxAttempts": 2, "backoff": {"initial": "1s", "factor": 1, "max": "1s"}}
PATIENCE_SECONDS = 40.0


@pytest.fixture(scope="session")
async def admin(server: Server) -> AsyncIterator[httpx2.AsyncClient]:
    """A caller whose key has the scope `admin`, and two channels that ring twice within seconds."""
    async with rest(server, await server.key("ringers", "--admin")) as http:
        for name, kind in (("hasty-chat", "Chat"), ("hasty-news", "Notification")):
            answer = await http.put(f"/v1/admin/channels/{name}", json={"type": kind, "delivery": HASTY})
            assert answer.status_code == 201
        yield http


async def letters_for(admin: httpx2.AsyncClient, user: str, number: int) -> list[dict[str, Any]]:
    """The dead letters for a user, once there are so many."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            items: list[dict[str, Any]] = (await admin.get(LETTERS, params={"recipient": user})).json()["items"]
            if len(items) == number:
                return items
            await asyncio.sleep(0.05)


async def statuses(client: Client, number: int) -> list[dict[str, Any]]:
    """The next `status` events of a connection."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(found) < number:
            events = (await client.hear()).get("events", [])
            found += [event["status"] for event in events if event["type"] == "status"]
    return found


async def test_a_sender_hears_of_a_failure_and_of_its_end(server: Server, admin: httpx2.AsyncClient) -> None:
    """On the open socket: failed, and delivered when the recipient comes after all, to whom it was kept."""
    ann, ben = new_name("ann"), new_name("ben")
    async with connected(server, ann) as sender:
        sent = await sender.send(
            {"to": {"user": ben}, "client_id": "c-1", "channel": "hasty-chat", "content": text("are you there?")}
        )
        (failed,) = await statuses(sender, 1)
        (letter,) = await letters_for(admin, ben, 1)
        async with connected(server, ben, "phone") as recipient:
            (event,) = await recipient.events("s", 1)
            await recipient.say({"ack": {"s": event["pos"]}})
            (delivered,) = await statuses(sender, 1)

    whole = {"message_id": sent["message_id"], "conversation_id": sent["conversation_id"], "recipient": ben}
    assert failed == {**whole, "status": "failed", "reason": "attempts_exhausted"}
    assert delivered == {**whole, "status": "delivered", "reason": None}
    assert (letter["message_id"], letter["attempts"], letter["channel"]) == (sent["message_id"], 2, "hasty-chat")
    assert event["message"]["content"]["text"] == "are you there?"
    assert await letters_for(admin, ben, 0) == []
    async with rest(server, server.token(ann)) as http:
        timeline = await timeline_of(http, sent["message_id"])
    told = [(item["type"], item["outcome"] or item["reason"]) for item in timeline if item["type"] != "sent"]
    assert told == [
        ("accepted", None),
        ("stored", None),
        ("queued", None),
        ("attempt", "no_connection"),
        ("attempt", "no_connection"),
        ("failed", "attempts_exhausted"),
        ("delivered", None),
    ]


async def test_a_connected_device_that_says_nothing_is_rung(server: Server, admin: httpx2.AsyncClient) -> None:
    """It has the message on its socket, and does not acknowledge: the rings are made, and in the end it has failed."""
    ann, ben = new_name("ann"), new_name("ben")
    async with connected(server, ann) as sender, connected(server, ben, "phone") as recipient:
        sent = await sender.send({"to": {"user": ben}, "client_id": "c-1", "channel": "hasty-chat", "content": text()})
        await recipient.events("s", 1)
        await statuses(sender, 1)
    async with rest(server, server.token(ann)) as http:
        timeline = await timeline_of(http, sent["message_id"])

    assert [item["outcome"] for item in timeline if item["type"] == "attempt"] == ["rung", "rung"]
    assert [item["type"] for item in timeline if item["type"] in {"sent", "failed"}] == ["sent", "failed"]


async def test_an_expired_message_comes_again_when_it_is_replayed(server: Server, admin: httpx2.AsyncClient) -> None:
    """To a device that has passed its old place: a new event, the same id, its content, and a new end."""
    ben = new_name("ben")
    async with rest(server, await server.key(new_name("shop"))) as shop, connected(server, ben, device=None) as reader:
        body = {"to": {"user": ben}, "channel": "hasty-news", "content": text("code 1234"), "expires_in": 1}
        sent = (await shop.post("/v1/messages", json=body)).json()
        (first,) = await reader.events("s", 1)
        (letter,) = await letters_for(admin, ben, 1)
        replay = (await admin.post(f"{LETTERS}/{letter['id']}:replay")).json()
        (again,) = await reader.events("s", 1)

    assert letter["reason"] == "expired"
    assert (replay["state"], replay["replayed"]) == ("done", 1)
    assert [first["message"]["id"], again["message"]["id"]] == [sent["message_id"]] * 2
    assert (first["pos"], again["pos"]) == (1, 2)
    assert again["message"]["content"] == first["message"]["content"]
    assert again["message"]["expires_at"] > first["message"]["expires_at"]


@pytest.fixture
async def ops(tmp_path: Path) -> AsyncIterator[tuple[Server, httpx2.AsyncClient]]:
    """A server that may be killed, and its administrator."""
    async with served(tmp_path, open_throttle=True) as server, AsyncExitStack() as stack:
        key = await server.key("ops", "--admin", "--scope", "send")
        yield server, await stack.enter_async_context(rest(server, key))


async def timeline_of(client: httpx2.AsyncClient, message_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await client.get(f"/v1/messages/{message_id}/timeline")).json()["items"]
    return items


async def test_rings_and_failures_survive_a_crash(ops: tuple[Server, httpx2.AsyncClient]) -> None:
    """Killed between the first ring and the second, the next process makes the second and fails it; none is doubled."""
    server, http = ops
    policy = {"maxAttempts": 2, "backoff": {"initial": "3s", "factor": 1, "max": "3s"}}
    await http.put("/v1/admin/channels/news", json={"type": "Notification", "delivery": policy})
    sent = (await http.post("/v1/messages", json={"to": {"user": "ben"}, "channel": "news", "content": text()})).json()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not any(item["type"] == "attempt" for item in await timeline_of(http, sent["message_id"])):
            await asyncio.sleep(0.05)

    await server.kill()
    await server.start()

    (letter,) = await letters_for(http, "ben", 1)
    attempts = [item["attempt"] for item in await timeline_of(http, sent["message_id"]) if item["type"] == "attempt"]
    assert (letter["message_id"], letter["reason"]) == (sent["message_id"], "attempts_exhausted")
    assert attempts == [1, 2]
    assert 'aldis_dead_letters_total{reason="attempts_exhausted"} 1.0' in (await http.get("/metrics")).text
