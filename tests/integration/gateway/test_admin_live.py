"""What administrators do reaches live sockets of a real server."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx2
import pytest

from integration.gateway.sockets import WAIT, Json, chat, connected, new_name, rest, text
from served import Server

ADMIN = "/v1/admin"


@pytest.fixture(scope="session")
async def admin(server: Server) -> AsyncIterator[httpx2.AsyncClient]:
    """A caller whose key has the scope `admin`."""
    async with rest(server, await server.key("ops", "--admin")) as http:
        yield http


async def test_a_connection_is_listed_and_closed_alone(server: Server, admin: httpx2.AsyncClient) -> None:
    """The one that is named ends with 4403; the user's other device stays."""
    user = new_name("u")
    async with connected(server, user, "phone") as phone, connected(server, user, "desk") as desk:
        listed = (await admin.get(f"{ADMIN}/connections", params={"user": user})).json()["items"]
        by_device = {each["device"]: each for each in listed}
        closed = await admin.delete(f"{ADMIN}/connections/{by_device['phone']['connection']}")
        code, told = await phone.ended()

        assert set(by_device) == {"phone", "desk"}
        assert by_device["phone"]["address"] == "127.0.0.1"
        assert (closed.status_code, code) == (204, 4403)
        assert told == {"code": 4403, "reason": "forbidden", "reconnect": False, "after_ms": 0}
        assert "pong" in await desk.ask(ping={})
        left = (await admin.get(f"{ADMIN}/connections", params={"user": user})).json()["items"]
        assert [each["device"] for each in left] == ["desk"]


async def test_all_connections_of_a_user_are_closed_as_told(server: Server, admin: httpx2.AsyncClient) -> None:
    """With the code and the words that were given; others stay."""
    user, other = new_name("u"), new_name("u")
    async with connected(server, user) as one, connected(server, user) as two, connected(server, other) as stays:
        body = {"code": 4001, "reason": "moving house"}
        answer = await admin.post(f"{ADMIN}/users/{user}:disconnect", json=body)

        for client in (one, two):
            code, told = await client.ended()
            assert code == 4001
            assert told is not None
            assert (told["reason"], told["reconnect"]) == ("moving house", True)
        assert answer.status_code == 204
        await stays.ask(ping={})


async def test_an_open_answer_is_a_connection_too(server: Server, admin: httpx2.AsyncClient) -> None:
    """Server-sent events are listed as `http` and end when they are closed, with the reason as their last event."""
    user = new_name("u")
    async with rest(server, server.token(user)) as http, http.stream("GET", "/v1/events") as answer:
        lines = answer.aiter_lines()
        await anext(lines)
        (listed,) = (await admin.get(f"{ADMIN}/connections", params={"user": user})).json()["items"]
        await admin.delete(f"{ADMIN}/connections/{listed['connection']}")
        async with asyncio.timeout(WAIT):
            said = [line async for line in lines]

    assert (listed["transport"], listed["address"]) == ("http", None)
    assert '"code":4403' in "".join(said)


async def test_connections_are_listed_page_by_page(server: Server, admin: httpx2.AsyncClient) -> None:
    """Each once, oldest first."""
    user = new_name("u")
    async with connected(server, user, "a"), connected(server, user, "b"), connected(server, user, "c"):
        found: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            query = {"user": user, "limit": "1", **cursor}
            page = (await admin.get(f"{ADMIN}/connections", params=query)).json()
            found += [each["device"] for each in page["items"]]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}

        assert found == ["a", "b", "c"]


async def test_a_change_of_a_channel_holds_at_once(server: Server, admin: httpx2.AsyncClient) -> None:
    """In the process that was asked nobody waits for what it remembers; the others hear of it in the same moment."""
    channel = new_name("channel")
    send = {"to": {"user": new_name("u")}, "channel": channel, "content": text("x" * 50)}
    async with rest(server, await server.key("shop")) as shop:
        await admin.put(f"{ADMIN}/channels/{channel}", json={"type": "Notification"})
        before = await until(201, server, shop, send)
        small = {"type": "Notification", "limits": {"maxContentBytes": 10}}
        await admin.put(f"{ADMIN}/channels/{channel}", json=small)
        after = await until(413, server, shop, send)
        await admin.delete(f"{ADMIN}/channels/{channel}")
        deleted = await until(404, server, shop, send)

    assert [before, after, deleted] == [201, 413, 404]


async def until(status: int, server: Server, http: httpx2.AsyncClient, send: Json) -> int:
    """The first answer of one process; of several, which are told by a doorbell, the first that is as it should be."""
    answers: list[int] = []
    for _ in range(50 if len(server.own_urls) > 1 else 1):
        answers = [(await http.post(f"{url}/v1/messages", json=send)).status_code for url in server.own_urls]
        if set(answers) == {status}:
            break
        await asyncio.sleep(0.01)
    return answers[-1]


async def test_an_erased_user_is_sent_away_and_the_others_are_told(server: Server, admin: httpx2.AsyncClient) -> None:
    """His socket ends with 4403; the other's is told of each message that is gone; it ends in `done`."""
    ann, bob = new_name("ann"), new_name("bob")
    async with connected(server, ann, "phone") as hers, connected(server, bob, "phone") as his:
        first = await his.send(chat(ann, "soon gone"))
        await hers.send(chat(bob, "stays", reply_to=first["message_id"]))
        await hers.events("s", 2)

        await admin.delete(f"{ADMIN}/users/{bob}")
        code, _ = await his.ended()
        (event,) = await hers.events("s", 1)
        progress = await until_done(admin, bob)

        async with rest(server, server.token(ann)) as http:
            history = await http.get(f"/v1/conversations/{first['conversation_id']}/messages")
        contents = [(m["content"], m["gone"], m["reply_to"]) for m in history.json()["items"]]
        assert code == 4403
        assert (event["type"], event["message"]["id"]) == ("message.deleted", first["message_id"])
        assert (event["message"]["content"], event["message"]["gone"]) == (None, "purged")
        assert (progress["state"], progress["purged"]) == ("done", 1)
        assert contents == [(text("stays"), None, first["message_id"]), (None, "purged", None)]


async def test_the_command_line_has_the_server_erase(server: Server, admin: httpx2.AsyncClient) -> None:
    """It writes what is wanted beside the running server, waits for it, and is in the audit log as `cli`."""
    ann, bob = new_name("ann"), new_name("bob")
    async with connected(server, bob) as his:
        await his.send(chat(ann, "soon gone"))

    said = json.loads(await server.aldis("user", "erase", bob, "--json"))

    log = (await admin.get(f"{ADMIN}/audit", params={"target": bob})).json()["items"]
    assert said == {"user": bob, "state": "done", "purged": 1}
    assert [(entry["actor"], entry["action"]) for entry in log] == [("cli", "user.erase")]


async def until_done(admin: httpx2.AsyncClient, user: str) -> dict[str, object]:
    """An erasure's last state."""
    async with asyncio.timeout(3 * WAIT):
        while True:
            answer: dict[str, object] = (await admin.get(f"{ADMIN}/users/{user}/erasure")).json()
            if answer["state"] == "done":
                return answer
            await asyncio.sleep(0.05)
