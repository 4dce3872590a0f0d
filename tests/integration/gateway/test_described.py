"""Every kind of frame that there is, on a real server, held to the description of the socket.

All other tests of sockets check each frame as well; this one makes sure that none is described and never seen.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aldis.domain.streams import SOURCES
from aldis.gateway.asyncapi import CLOSE_CODES_KEY, frames
from described import check_frame, recording, socket_document
from integration.gateway.sockets import WAIT, Client, Json, chat, connected, new_name, open_socket, rest, text
from served import Server

NOT_TOLD_YET = {"MessageEditedEvent"}  # described for clients, so that they are ready; nothing can be edited yet
ELSEWHERE = {  # close codes that take long to provoke; their frames are made by the same function
    4002: "test_slow_readers",
    4003: "test_socket_contract",
    4005: "test_slow_readers",
}
Provoke = Callable[[Server], Awaitable[int | None]]


@pytest.fixture(scope="module")
async def admin(server: Server) -> str:
    """A key that may do everything, and a channel of each type."""
    key = await server.key("describer", "--admin")
    async with rest(server, key) as caller:
        for name, type_ in (("told-notes", "Notification"), ("told-casts", "Broadcast")):
            await caller.put(f"/v1/admin/channels/{name}", json={"type": type_})
    return key


async def tell(client: Client, **command: Any) -> None:
    """Say something that gets no answer."""
    check_frame(command, by_client=True)
    await client.say(command)


async def hear_until(client: Client, is_it: Callable[[Json], bool]) -> Json:
    """The next frame that is it; those before it are read."""
    async with asyncio.timeout(WAIT):
        while not is_it(frame := client.news.pop(0) if client.news else await client.hear()):
            pass
    return frame


def has_event(type_: str, source: str | None = None) -> Callable[[Json], bool]:
    """Whether a frame has an event of that type."""
    return lambda frame: (
        any(event["type"] == type_ for event in frame.get("events", ())) and source in {None, frame["source"]}
    )


def is_ephemeral(type_: str) -> Callable[[Json], bool]:
    """Whether a frame is of that kind."""
    return lambda frame: any(news["type"] == type_ for news in frame.get("ephemeral", ()))


async def test_every_frame_is_described_and_seen(server: Server, strict_server: Server, admin: str) -> None:
    """Commands, answers, news, all events in all sources, ephemera, errors and last words: each at least once."""
    with recording() as seen:
        await converse(server, admin)
        await stream(server)
        async with connected(strict_server, new_name("told")) as client:  # which asks for signs of life each second
            await hear_until(client, lambda frame: "ping" in frame)
            await tell(client, pong={})

    described = set(socket_document()["components"]["messages"])
    assert described == set(frames())
    events = {name for name in socket_document()["components"]["schemas"] if name.endswith("Event")}
    assert described | events | {"Typing", "Presence"} | set(SOURCES) == seen | NOT_TOLD_YET
    assert not seen & NOT_TOLD_YET
    print(f"{len(described)} kinds of frames, {len(events)} kinds of events, all sources: each was seen")


async def converse(server: Server, admin: str) -> None:
    """All that two users and a backend can say to each other."""
    alice, bob = new_name("told"), new_name("told")
    async with connected(server, alice, "phone") as one:
        await one.send(chat(new_name("away"), expires_in=1))  # which fails: nobody is there in time
        await hear_until(one, has_event("status"))
        stored = await one.send(chat(bob))
        talk = stored["conversation_id"]
        await one.ask(presence={"watch": [bob]})
        async with connected(server, bob, "phone") as other, rest(server, server.token(bob)) as by_rest:
            await hear_until(one, is_ephemeral("presence"))
            frame = await hear_until(other, has_event("message", "s"))
            await tell(other, ack={"s": frame["events"][-1]["pos"]})
            await hear_until(one, has_event("receipt"))
            await other.ask(read={"conversation_id": talk, "seq": stored["seq"]})
            for type_ in ("read", "badge"):
                other.news.append(await hear_until(other, has_event(type_)))
            await tell(one, typing={"conversation_id": talk})
            await hear_until(other, is_ephemeral("typing"))
            await other.ask(refresh={"token": server.token(bob)})
            await other.ask(ping={})
            assert "error" in await other.ask(read={"conversation_id": talk, "seq": -1})
            await other.say({"read": {"conversation_id": "?", "seq": 1}})
            await hear_until(other, lambda frame: "error" in frame)
            await by_rest.patch(f"/v1/conversations/{talk}", json={"muted": True})
            await hear_until(other, has_event("conversation"))
            await by_rest.put("/v1/subscriptions/told-casts")
            await hear_until(other, has_event("subscription"))
            await backend_speaks(server, admin, bob, other)
            async with rest(server, admin) as administrator:
                await administrator.delete(f"/v1/admin/users/{alice}")
            await hear_until(other, has_event("message.deleted"))
        code, told = await one.ended()
        assert (code, told is not None) == (4403, True)


async def backend_speaks(server: Server, admin: str, user: str, client: Client) -> None:
    """A notification in the express lane, a broadcast in each."""
    async with rest(server, admin) as backend:
        for to, source in (
            ({"to": {"user": user}, "channel": "told-notes", "priority": "urgent"}, "e"),
            ({"to": {"channel": "told-casts"}, "priority": "high"}, "be"),
            ({"to": {"channel": "told-casts"}}, "bs"),
        ):
            response = await backend.post("/v1/messages", json={**to, "content": text()})
            assert response.status_code == 201, response.text
            await hear_until(client, has_event("message", source))


async def stream(server: Server) -> None:
    """The same frames by server-sent events and by a long poll."""
    reader, writer = new_name("told"), new_name("told")
    async with rest(server, server.token(reader)) as caller:
        await caller.get("/v1/sync?device=web&wait=0")
        async with connected(server, writer) as client:
            await client.send(chat(reader))
        polled = (await caller.get("/v1/sync?device=web&wait=5")).json()
        for frame in polled["frames"]:
            check_frame(frame)
        assert polled["frames"]
        async with caller.stream("GET", "/v1/events?device=web") as response, asyncio.timeout(WAIT):
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    frame = json.loads(line.removeprefix("data: "))
                    check_frame(frame)
                    if "events" in frame:
                        return


# -- close codes ------------------------------------------------------------------------------------------------


async def shut_down(server: Server) -> int | None:
    return await sent_away(server, 4001)


async def forbid(server: Server) -> int | None:
    return await sent_away(server, 4403)


async def sent_away(server: Server, code: int) -> int | None:
    user = new_name("told")
    async with connected(server, user) as client, rest(server, await server.key("closer", "--admin")) as caller:
        await caller.post(f"/v1/admin/users/{user}:disconnect", json={"code": code})
        return (await client.ended())[0]


async def flood(server: Server) -> int | None:
    async with connected(server, new_name("told")) as client:
        for number in range(1000):
            await client.say({"id": number, "read": {"conversation_id": "?", "seq": 1}})
        return (await client.ended())[0]


async def break_frames(server: Server) -> int | None:
    async with connected(server, new_name("told")) as client:
        await client.say(b"\x00")
        return (await client.ended())[0]


async def lie(server: Server) -> int | None:
    async with open_socket(server) as client:
        await client.say({"id": 1, "connect": {"token": "x.y.z"}})
        return (await client.ended())[0]


async def replace(server: Server) -> int | None:
    user = new_name("told")
    async with connected(server, user, "phone") as client, connected(server, user, "phone"):
        return (await client.ended())[0]


async def crowd(server: Server) -> int | None:
    user, opened = new_name("told"), []
    for _ in range(10):
        opened.append(connected(server, user))
        await opened[-1].__aenter__()
    async with open_socket(server) as client:
        await client.say({"id": 1, "connect": {"token": server.token(user)}})
        code = (await client.ended())[0]
    for each in opened:
        await each.__aexit__(None, None, None)
    return code


CLOSING: dict[int, Provoke] = {
    4001: shut_down,
    4004: flood,
    4400: break_frames,
    4401: lie,
    4403: forbid,
    4409: replace,
    4429: crowd,
}


def test_every_close_code_is_provoked_somewhere() -> None:
    """Those that are described are those that the tests know how to get."""
    described = {each["code"] for each in socket_document()["channels"]["socket"][CLOSE_CODES_KEY]}

    assert described == CLOSING.keys() | ELSEWHERE.keys()


@pytest.mark.parametrize("code", CLOSING)
async def test_a_close_code_comes_with_its_last_words(server: Server, code: int) -> None:
    """And these are described."""
    with recording() as seen:
        assert await CLOSING[code](server) == code

    assert "DisconnectNews" in seen
