import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from aldis.adapters.memory.clock import SystemClock
from aldis.adapters.sql.store import SqlStore
from aldis.domain.callers import Scope
from aldis.services.apply_channel import apply_channel
from aldis.services.authenticate import KEY_MEMORY_MS
from aldis.services.issue_key import issue_key, revoke_key
from integration.gateway.sockets import (
    WAIT,
    Client,
    Json,
    chat,
    connected,
    new_name,
    open_socket,
    problem,
    rest,
    talk,
    text,
)
from served import Server

NOT_FOUND = (404, "not_found")
SAID = "between the two of us"


@dataclass
class Scene:
    """Ann and Bob have talked; Eve, who is in a conversation of her own with Bob, is connected by socket and REST."""

    server: Server
    ann: str
    bob: str
    eve: str
    secret: Json
    hers: Json
    socket: Client
    http: httpx2.AsyncClient

    async def untouched(self) -> bool:
        """Whether the conversation is still as the two have left it."""
        async with rest(self.server, self.server.token(self.bob)) as http:
            items = (await http.get("/v1/conversations")).json()["items"]
            row = next(item for item in items if item["id"] == self.secret["conversation_id"])
            shown = (row["last_message"]["content"], row["head_seq"], row["read_seq"], row["unread"])
        return shown == (text(SAID), 1, 0, 1)


@pytest.fixture
async def scene(server: Server) -> AsyncIterator[Scene]:
    """All three, and what has been said."""
    ann, bob, eve = new_name("ann"), new_name("bob"), new_name("eve")
    secret = await talk(server, ann, bob, [SAID])
    async with connected(server, bob, "bobs-phone"), connected(server, eve, "eves-phone") as socket:
        hers = await socket.send(chat(bob))
        async with rest(server, server.token(eve)) as http:
            yield Scene(server, ann, bob, eve, secret, hers, socket, http)


# -- users, by socket -------------------------------------------------------------------------------------------------


async def test_a_stranger_cannot_write_into_a_conversation_by_socket(scene: Scene) -> None:
    """To one who is no member it is not there."""
    body = {**chat(scene.bob), "to": {"conversation": scene.secret["conversation_id"]}}

    assert await scene.socket.refused(send=body) == ("not_found", "send.to.conversation")
    assert await scene.untouched()


async def test_a_stranger_cannot_reply_to_a_message_by_socket(scene: Scene) -> None:
    """Not even in a conversation of his own with one of the two."""
    body = chat(scene.bob, reply_to=scene.secret["message_id"])

    assert await scene.socket.refused(send=body) == ("not_found", "send.reply_to")
    assert await scene.untouched()


async def test_a_stranger_cannot_mark_a_conversation_read_by_socket(scene: Scene) -> None:
    """Nor learn what is unread in it."""
    body = {"conversation_id": scene.secret["conversation_id"], "seq": 1}

    assert await scene.socket.refused(read=body) == ("not_found", "read.conversation_id")
    assert await scene.untouched()


async def test_an_ack_by_socket_moves_only_ones_own_device(scene: Scene) -> None:
    """Also when another user's device has the same name: Bob's still gets all of his."""
    async with connected(scene.server, scene.eve, "bobs-phone") as twin:
        await talk(scene.server, scene.eve, new_name("carol"))
        await twin.events("s", 1)
        await twin.say({"ack": {"s": 2}})
        assert "pong" in await twin.ask(ping={})
    async with connected(scene.server, scene.bob, "bobs-phone") as bobs:
        events = await bobs.events("s", 2)

    assert [event["pos"] for event in events] == [1, 2]


async def test_nothing_of_others_arrives_on_a_socket(scene: Scene) -> None:
    """Neither their messages nor who has read what."""
    async with rest(scene.server, scene.server.token(scene.bob)) as http:
        await http.post(f"/v1/conversations/{scene.secret['conversation_id']}/read", json={"seq": 1})
    own = await scene.socket.send(chat(scene.bob, "the last one"))
    while not any(event["message"]["id"] == own["message_id"] for event in await scene.socket.events("s", 1)):
        pass

    assert scene.secret["conversation_id"] not in str(scene.socket.news)


async def test_a_conversations_own_cursor_shows_nothing_of_others(scene: Scene) -> None:
    """A cursor names positions of the one who connects, whoever gave it to him."""
    async with rest(scene.server, scene.server.token(scene.bob)) as http:
        cursor = (await http.get("/v1/conversations")).json()["cursor"]
    epoch = cursor.split(".")[0]
    async with connected(scene.server, scene.eve, cursor=f"{epoch}.e0.s0.be0.bs0.r0") as client:
        (event,) = await client.events("s", 1)

    assert event["message"]["id"] == scene.hers["message_id"]


# -- users, by REST ---------------------------------------------------------------------------------------------------


async def test_a_stranger_cannot_write_into_a_conversation_by_rest(scene: Scene) -> None:
    """To one who is no member it is not there."""
    body = {"to": {"conversation": scene.secret["conversation_id"]}, "content": text()}

    assert problem(await scene.http.post("/v1/messages", json=body)) == NOT_FOUND
    assert await scene.untouched()


async def test_a_stranger_cannot_reply_to_a_message_by_rest(scene: Scene) -> None:
    """Not even in a conversation of his own with one of the two."""
    body = {"to": {"user": scene.bob}, "content": text(), "reply_to": scene.secret["message_id"]}

    assert problem(await scene.http.post("/v1/messages", json=body)) == NOT_FOUND
    assert await scene.untouched()


async def test_a_stranger_cannot_mark_a_conversation_read_by_rest(scene: Scene) -> None:
    """Nor learn what is unread in it."""
    path = f"/v1/conversations/{scene.secret['conversation_id']}/read"

    assert problem(await scene.http.post(path, json={"seq": 1})) == NOT_FOUND
    assert await scene.untouched()


@pytest.mark.parametrize(
    "path",
    [
        "/v1/conversations/{conversation_id}/messages",
        "/v1/conversations/{conversation_id}/messages?after=0",
        "/v1/messages/{message_id}",
        "/v1/messages/{message_id}/timeline",
    ],
)
async def test_a_stranger_cannot_read_what_others_have_said(scene: Scene, path: str) -> None:
    """What is another's answers exactly like what is not there at all."""
    absent = dict.fromkeys(("conversation_id", "message_id"), "01890000-0000-7000-8000-000000000000")

    theirs, nobodys = [await scene.http.get(path.format(**ids)) for ids in (scene.secret, absent)]

    assert problem(theirs) == NOT_FOUND
    assert theirs.json() == nobodys.json()
    assert SAID not in theirs.text


async def test_a_place_in_another_ones_history_opens_nothing(scene: Scene) -> None:
    """A list's cursor is a place, not a right."""
    async with rest(scene.server, scene.server.token(scene.ann)) as http:
        for words in ("one", "two"):
            await http.post("/v1/messages", json={"to": {"user": scene.bob}, "content": text(words)})
        path = f"/v1/conversations/{scene.secret['conversation_id']}/messages"
        place = (await http.get(path, params={"limit": 1})).json()["next"]

    assert problem(await scene.http.get(path, params={"cursor": place})) == NOT_FOUND


async def test_the_list_of_conversations_is_ones_own(scene: Scene) -> None:
    """And so is the badge."""
    listed = (await scene.http.get("/v1/conversations")).json()["items"]

    assert [item["id"] for item in listed] == [scene.hers["conversation_id"]]
    assert (await scene.http.get("/v1/badge")).json() == {"badge": 0}


@pytest.mark.parametrize("device", ["bobs-phone", "nobodys-phone"])
async def test_an_ack_by_rest_cannot_name_another_ones_device(scene: Scene, device: str) -> None:
    """It answers as for a device that is not there, and moves nothing."""
    response = await scene.http.post("/v1/ack", params={"device": device}, json={"s": 1})

    assert problem(response) == NOT_FOUND
    async with connected(scene.server, scene.bob, "bobs-phone") as bobs:
        assert (await bobs.events("s", 1))[0]["pos"] == 1


async def test_an_ack_by_rest_cannot_go_beyond_what_there_is(scene: Scene) -> None:
    """What was never sent cannot be confirmed."""
    response = await scene.http.post("/v1/ack", params={"device": "eves-phone"}, json={"s": 99})

    assert problem(response) == (400, "bad_cursor")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "notification", "channel": "news"}, "kind"),
        ({"from": {"user": "ann"}}, "from"),
        ({"priority": "urgent"}, "priority"),
        ({"to": {"users": ["ann", "bob"]}}, "to.users"),
    ],
)
async def test_a_user_may_not_set_what_is_a_backends_by_rest(scene: Scene, changes: Json, field: str) -> None:
    """Refused with the field's path."""
    body: Json = {"to": {"user": scene.bob}, "content": text(), **changes}

    response = await scene.http.post("/v1/messages", json=body)

    assert problem(response) == (403, "forbidden_field")
    assert response.json()["field"] == field


@pytest.mark.parametrize("credential", ["", "x", "ak_x", "ak_0123456789abcdef_" + "x" * 43])
@pytest.mark.parametrize(
    "path", ["/v1/conversations", "/v1/badge", "/v1/messages/01890000-0000-7000-8000-000000000000"]
)
async def test_nobody_gets_anything_without_a_good_credential(server: Server, credential: str, path: str) -> None:
    """401, whatever the path."""
    async with httpx2.AsyncClient(base_url=server.url, trust_env=False) as http:
        response = await http.get(path, headers={"authorization": f"Bearer {credential}"} if credential else {})

    assert problem(response) == (401, "unauthorized")


# -- backends ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
async def channels(store: SqlStore) -> tuple[str, str]:
    """Two channels of notifications."""
    for name in ("news", "sports"):
        await apply_channel({"type": "Notification"}, name=name, store=store, clock=SystemClock())
    return "news", "sports"


async def make_key(store: SqlStore, *scopes: Scope, channel: str = "news") -> tuple[str, str]:
    """A key of a backend of its own: its id and its text."""
    issued = await issue_key(new_name("shop"), channels=[channel], scopes=scopes, store=store, clock=SystemClock())
    return issued.key.id, issued.text


def notification(user: str, **more: Any) -> Json:
    return {"to": {"user": user}, "kind": "notification", "channel": "news", "content": text(), **more}


async def test_a_key_sends_in_its_channel(server: Server, store: SqlStore, channels: tuple[str, str]) -> None:
    """The case that the refusals below differ from."""
    _, key = await make_key(store, Scope.SEND)
    async with rest(server, key) as http:
        assert (await http.post("/v1/messages", json=notification(new_name("bob")))).status_code == 201


@pytest.mark.parametrize(
    ("scopes", "changes", "code"),
    [
        ([Scope.SEND], {"channel": "sports"}, "forbidden"),
        ([Scope.SEND_AS], {}, "forbidden"),
        ([Scope.ADMIN], {}, "forbidden"),
        ([], {}, "forbidden"),
        ([Scope.SEND], {"kind": "chat", "channel": None, "from": {"user": "ann"}}, "forbidden"),
        ([Scope.SEND_AS], {"kind": "chat", "channel": "chat", "from": {"user": "ann"}}, "forbidden"),
        ([Scope.SEND, Scope.SEND_AS], {"from": {"user": "ann"}}, "forbidden_field"),
        ([Scope.SEND], {"kind": "chat"}, "forbidden_field"),
        ([Scope.SEND], {"to": {"conversation": "01890000-0000-7000-8000-000000000000"}}, "forbidden_field"),
    ],
)
async def test_a_key_is_held_to_its_channels_and_scopes(
    server: Server, store: SqlStore, channels: tuple[str, str], scopes: list[Scope], changes: Json, code: str
) -> None:
    """403, and nothing has arrived."""
    bob = new_name("bob")
    _, key = await make_key(store, *scopes)
    async with rest(server, key) as http:
        response = await http.post("/v1/messages", json=notification(bob, **changes))
    async with rest(server, server.token(bob)) as http:
        listed = (await http.get("/v1/conversations")).json()["items"]

    assert problem(response) == (403, code)
    assert listed == []


async def test_a_key_that_may_send_as_users_cannot_write_where_they_are_no_members(
    server: Server, store: SqlStore, scene: Scene
) -> None:
    """It has a user's rights, no more."""
    _, key = await make_key(store, Scope.SEND_AS, channel="chat")
    body = {"from": {"user": scene.eve}, "to": {"conversation": scene.secret["conversation_id"]}, "content": text()}
    async with rest(server, key) as http:
        assert problem(await http.post("/v1/messages", json=body)) == NOT_FOUND
    assert await scene.untouched()


@pytest.mark.parametrize("path", ["/v1/messages/{message_id}", "/v1/messages/{message_id}/timeline"])
async def test_a_key_sees_only_messages_of_its_channels(
    server: Server, store: SqlStore, channels: tuple[str, str], scene: Scene, path: str
) -> None:
    """Those of others are not there, be they notifications or chats."""
    _, own = await make_key(store, Scope.SEND)
    _, other = await make_key(store, Scope.SEND, channel="sports")
    async with rest(server, own) as news, rest(server, other) as sports:
        sent = (await news.post("/v1/messages", json=notification(scene.bob))).json()

        assert (await news.get(path.format(**sent))).status_code == 200
        assert problem(await sports.get(path.format(**sent))) == NOT_FOUND
        assert problem(await news.get(path.format(**scene.secret))) == NOT_FOUND


@pytest.mark.parametrize("path", ["/v1/conversations", "/v1/badge"])
async def test_what_is_a_users_own_is_not_for_keys(server: Server, store: SqlStore, path: str) -> None:
    """A backend has no conversations and no badge."""
    _, key = await make_key(store, *Scope)
    async with rest(server, key) as http:
        assert problem(await http.get(path)) == (403, "forbidden")


async def test_a_key_opens_no_socket(server: Server, store: SqlStore) -> None:
    """Sockets are for users."""
    _, key = await make_key(store, *Scope)
    async with open_socket(server) as client:
        assert (await client.refused(connect={"token": key}))[0] == "unauthorized"


async def test_a_revoked_key_is_refused_within_the_promised_time(
    server: Server, store: SqlStore, channels: tuple[str, str]
) -> None:
    """A running server remembers a key for some seconds, not longer."""
    key_id, key = await make_key(store, Scope.SEND)
    async with rest(server, key) as http:
        assert (await http.post("/v1/messages", json=notification(new_name("bob")))).status_code == 201
        await revoke_key(key_id, store=store, clock=SystemClock())
        async with asyncio.timeout(KEY_MEMORY_MS / 1000 + 1):
            while (response := await http.post("/v1/messages", json=notification("bob"))).status_code == 201:
                await asyncio.sleep(0.1)

    assert problem(response) == (401, "unauthorized")


async def test_a_notification_cannot_be_answered_into(
    server: Server, store: SqlStore, channels: tuple[str, str]
) -> None:
    """Neither by socket nor by REST; its reader may mark it read."""
    bob = new_name("bob")
    _, key = await make_key(store, Scope.SEND)
    async with rest(server, key) as http:
        conversation = (await http.post("/v1/messages", json=notification(bob))).json()["conversation_id"]
    body = {"to": {"conversation": conversation}, "content": text()}
    async with connected(server, bob) as client, rest(server, server.token(bob)) as http, asyncio.timeout(WAIT):
        assert await client.refused(send={**body, "client_id": "c"}) == ("read_only", "send.to.conversation")
        assert problem(await http.post("/v1/messages", json=body)) == (403, "read_only")
        assert (await client.ask(read={"conversation_id": conversation, "seq": 1}))["read"]["unread"] == 0
