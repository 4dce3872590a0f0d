"""The client against a real server: what it keeps of messages that are edited and deleted, there and away."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aldis_client import AldisClient, SqliteStore
from integration.gateway.sockets import rest, text
from served import Server, served


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with served(tmp_path, open_throttle=True) as server:
        yield server


async def hear(client: AldisClient, number: int) -> list[str]:
    """The types of the next events that carry a message."""
    types: list[str] = []
    async for event in client.events():
        types += [event.type] if event.message is not None else []
        if len(types) == number:
            break
    return types


async def test_a_client_keeps_each_message_as_it_is_now(server: Server, tmp_path: Path) -> None:
    """Each message is one, in its place, with the words of now, whether the client was there or came back later."""
    async with SqliteStore(tmp_path / "phone.db") as store:
        async with rest(server, server.token("ann")) as http:
            sent = []
            async with AldisClient(server.ws_url, server.token("bob"), "phone", store, proxy=None) as phone:
                for words in ("one", "two", "three"):
                    body = {"to": {"user": "bob"}, "content": text(words)}
                    sent.append(f"/v1/messages/{(await http.post('/v1/messages', json=body)).json()['message_id']}")
                await http.patch(sent[0], json={"content": text("ONE")})
                await http.delete(sent[1])
                live = await hear(phone, 5)
            await http.patch(sent[0], json={"content": text("One")})
            await http.delete(sent[2])
            async with AldisClient(server.ws_url, server.token("bob"), "phone", store, proxy=None) as phone:
                late = await hear(phone, 2)
        kept = await store.messages()

    assert live == ["message", "message", "message", "message.edited", "message.deleted"]
    assert late == ["message.edited", "message.deleted"]
    assert [(m["seq"], m["content"], m["gone"]) for m in kept] == [
        (1, text("One"), None),
        (2, None, "deleted"),
        (3, None, "deleted"),
    ]


async def test_the_sending_client_sees_what_becomes_of_its_own(server: Server) -> None:
    """Its own device is told as all others are, and takes it under the id that its send was answered with."""
    async with (
        AldisClient(server.ws_url, server.token("ann"), "laptop", proxy=None) as laptop,
        rest(server, server.token("ann")) as http,
    ):
        result = await laptop.send(to_user="bob", text="one")
        await http.patch(f"/v1/messages/{result.message_id}", json={"content": text("two")})
        async for event in laptop.events():
            if event.type == "message.edited":
                break

    assert event.message is not None
    assert (event.message["id"], event.message["content"]) == (result.message_id, text("two"))
