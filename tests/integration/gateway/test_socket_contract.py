import asyncio
import base64
import json
import time
from contextlib import AsyncExitStack, suppress
from typing import Any

import jwt
import pytest
from websockets.exceptions import InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from aldis.domain.content import MAX_CONTENT_BYTES
from aldis.domain.streams import MAX_POSITION
from integration.gateway.sockets import (
    WAIT,
    Client,
    Json,
    chat,
    connected,
    new_name,
    open_socket,
    problem,
    refusal,
    rest,
    talk,
    text,
)
from served import Server

BAD_FRAME, TOKEN, REPLACED, LIMIT, TOO_MANY = 4400, 4401, 4409, 4429, 4004
STRANGER = "00000000-0000-5000-8000-000000000000"


def tampered(server: Server, user: str, **header: str) -> str:
    """A token whose signature or algorithm is not the server's."""
    claims = {"sub": user, "exp": int(time.time()) + 60}
    if header.get("alg") == "none":
        parts = [json.dumps({"alg": "none", "typ": "JWT"}), json.dumps(claims)]
        return ".".join(base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts) + "."
    return jwt.encode(claims, "x" * 32, algorithm="HS256")


async def connect_refused(client: Client, **body: Any) -> tuple[str, str | None, int | None]:
    """The error and the close code that a connect is answered with."""
    code, field = refusal(await client.ask(connect=body))
    closed, told = await client.ended()
    assert told is not None
    assert (told["code"], told["reconnect"]) == (closed, closed is not None and closed < 4400)
    return code, field, closed


# -- the handshake ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "chosen"), [(None, None), (["aldis.v1"], "aldis.v1"), (["soap", "aldis.v1"], "aldis.v1")]
)
async def test_the_subprotocol_is_ours_or_none(server: Server, offered: Any, chosen: str | None) -> None:
    """Who offers none is taken as he is; who offers ours among others gets ours."""
    async with open_socket(server, subprotocols=offered) as client:
        assert client.socket.subprotocol == chosen
        assert "connect" in await client.ask(connect={"token": server.token(new_name("ann"))})


async def test_another_subprotocol_is_refused(server: Server) -> None:
    """With a 400, before any socket is there."""
    with pytest.raises(InvalidStatus) as caught:
        async with open_socket(server, subprotocols=["aldis.v2"]):
            pass

    assert caught.value.response.status_code == 400


async def test_deflate_is_declined_and_the_socket_works(server: Server) -> None:
    """Compression is off unless configured; a client that offers it goes on without."""
    async with open_socket(server, compression="deflate", extensions=[ClientPerMessageDeflateFactory()]) as client:
        assert client.socket.protocol.extensions == []
        assert "connect" in await client.ask(connect={"token": server.token(new_name("ann"))})


# -- connect ----------------------------------------------------------------------------------------------------------


async def test_connect_with_a_token_in_the_frame_says_who_and_where_one_is(server: Server) -> None:
    """The documented fields, with the limits that hold."""
    user = new_name("ann")
    async with open_socket(server) as client:
        answer = (await client.ask(connect={"token": server.token(user), "device": {"id": "d1"}}))["connect"]

    assert (answer["user"], answer["recovered"], answer["ping_interval"]) == (user, True, 25)
    assert answer["cursor"].endswith(".e0.s0.be0.bs0.r0")
    assert answer["limits"]["content_bytes"] == MAX_CONTENT_BYTES
    assert answer["connection"]


async def test_connect_takes_the_token_of_the_header(server: Server) -> None:
    """For clients that can set one."""
    user = new_name("ann")
    async with open_socket(server, additional_headers={"Authorization": f"Bearer {server.token(user)}"}) as client:
        assert (await client.ask(connect={}))["connect"]["user"] == user


async def test_the_token_of_the_frame_wins_over_the_header(server: Server) -> None:
    """What is said last and on purpose counts."""
    headers = {"Authorization": f"Bearer {server.token(new_name('ann'))}"}
    other = new_name("bob")
    async with open_socket(server, additional_headers=headers) as client:
        assert (await client.ask(connect={"token": server.token(other)}))["connect"]["user"] == other


@pytest.mark.parametrize("kind", ["none", "expired", "other key", "alg none", "garbage", "backend key", "not ascii"])
async def test_connect_without_a_good_token_is_closed_with_4401(server: Server, kind: str) -> None:
    """Told as an error first, and not to come back as one is."""
    tokens: dict[str, Json] = {
        "none": {},
        "expired": {"token": server.token("ann", seconds=-1)},
        "other key": {"token": tampered(server, "ann")},
        "alg none": {"token": tampered(server, "ann", alg="none")},
        "garbage": {"token": "a.b.c"},
        "backend key": {"token": "ak_0123456789abcdef_" + "x" * 43},
        "not ascii": {"token": "é.ü.ß"},
    }
    async with open_socket(server) as client:
        code, _, closed = await connect_refused(client, **tokens[kind])

    assert (code, closed) == ("unauthorized", TOKEN)


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"device": {"id": ""}}, "bad_request", "connect.device.id"),
        ({"device": {"id": "a b"}}, "bad_request", "connect.device.id"),
        ({"device": {"id": "é"}}, "bad_request", "connect.device.id"),
        ({"device": {"id": "x" * 129}}, "bad_request", "connect.device.id"),
        ({"device": {"id": "d", "platform": ""}}, "bad_request", "connect.device.platform"),
        ({"cursor": ""}, "bad_cursor", "connect.cursor"),
        ({"cursor": "x.e1.s1"}, "bad_cursor", "connect.cursor"),
        ({"cursor": f"x.e{MAX_POSITION + 1}.s0.be0.bs0.r0"}, "bad_cursor", "connect.cursor"),
        ({"version": 2}, "unknown_field", "connect.version"),
    ],
)
async def test_a_wrong_connect_is_closed_with_4400(server: Server, body: Json, code: str, field: str) -> None:
    """The path says what was wrong."""
    async with open_socket(server) as client:
        answer = await connect_refused(client, token=server.token(new_name("ann")), **body)

    assert answer == (code, field, BAD_FRAME)


@pytest.mark.parametrize("device", ["d", "x" * 128, "A.b_c:d@e-1"])
async def test_a_device_may_have_any_name_of_the_alphabet(server: Server, device: str) -> None:
    """One to 128 characters."""
    async with connected(server, new_name("ann"), device) as client:
        assert "pong" in await client.ask(ping={})


@pytest.mark.parametrize("epoch_is_ours", [True, False])
async def test_a_cursor_from_elsewhere_recovers_nothing(server: Server, epoch_is_ours: bool) -> None:
    """Of another life, or above what there is: all is to be loaded anew."""
    async with open_socket(server) as client:
        ours = (await client.ask(connect={"token": server.token(new_name("ann"))}))["connect"]["cursor"].split(".")[0]
    cursor = f"{ours if epoch_is_ours else 'other'}.e0.s{99 if epoch_is_ours else 0}.be0.bs0.r0"
    async with open_socket(server) as client:
        answer = await client.ask(connect={"token": server.token(new_name("ann")), "cursor": cursor})

    assert answer["connect"]["recovered"] is False


@pytest.mark.parametrize(
    "command", [{"send": chat("bob")}, {"ack": {"s": 0}}, {"ping": {}}, {"refresh": {"token": ""}}]
)
async def test_a_command_before_connect_ends_the_socket(server: Server, command: Json) -> None:
    """The first command is connect."""
    async with open_socket(server) as client:
        assert await client.refused(**command) == ("not_connected", None)
        assert (await client.ended())[0] == BAD_FRAME


async def test_a_second_connect_is_refused_and_changes_nothing(server: Server) -> None:
    """Not even for another user; the socket stays the first one's."""
    user, other = new_name("ann"), new_name("bob")
    async with connected(server, user) as client:
        assert await client.refused(connect={"token": server.token(other)}) == ("not_connected", None)
        stored = await client.send(chat(other))
        (event,) = await client.events("s", 1)

    assert event["message"]["id"] == stored["message_id"]
    assert event["message"]["sender"] == {"user": user}


async def test_commands_that_come_with_the_connect_are_told_to_wait(server: Server) -> None:
    """Until its answer has come nothing else is taken, and the connect goes through."""
    async with open_socket(server) as client:
        await client.say({"id": 1, "connect": {"token": server.token(new_name("ann"))}})
        await client.say({"id": 2, "send": chat("bob")})
        frames = {frame["id"]: frame for frame in [await client.hear(), await client.hear()]}

    assert "connect" in frames[1]
    assert refusal(frames[2])[0] == "not_connected"


async def test_a_connect_with_garbage_behind_it_leaves_nothing_behind(server: Server) -> None:
    """As often as one likes: the connection limit counts who is there, not who was."""
    user = new_name("ann")
    for _ in range(12):
        async with open_socket(server) as client:
            connect = Frame(Opcode.TEXT, json.dumps({"id": 1, "connect": {"token": server.token(user)}}).encode())
            client.socket.transport.write(
                connect.serialize(mask=True) + Frame(Opcode.TEXT, b"garbage").serialize(mask=True)
            )
            assert (await client.ended())[0] == BAD_FRAME

    async with connected(server, user) as client:
        assert "pong" in await client.ask(ping={})


# -- send -------------------------------------------------------------------------------------------------------------


async def test_a_send_with_every_field_arrives_with_every_field(server: Server) -> None:
    """At the other user and back at the sender, as the contract shows a message."""
    ann, bob = new_name("ann"), new_name("bob")
    async with connected(server, ann) as sender, connected(server, bob) as receiver:
        first = await sender.send(chat(bob))
        body = chat(bob, "é 漢 🎉 \u2028", reply_to=first["message_id"], priority="low", expires_in=3600, kind="chat")
        stored = await sender.send({**body, "channel": "chat"})
        for client in (sender, receiver):
            message = (await client.events("s", 2))[1]["message"]
            assert message == {
                "id": stored["message_id"],
                "conversation_id": stored["conversation_id"],
                "kind": "chat",
                "channel": "chat",
                "sender": {"user": ann},
                "seq": 2,
                "client_id": body["client_id"],
                "content": body["content"],
                "gone": None,
                "reply_to": first["message_id"],
                "thread_id": first["message_id"],
                "priority": "low",
                "created_at": stored["created_at"],
                "expires_at": message["expires_at"],
                "edited_at": None,
            }
            assert message["expires_at"] > stored["created_at"]


async def test_a_repeated_client_id_gets_the_first_answer(server: Server) -> None:
    """Marked as such, and nothing is sent twice."""
    body = chat(new_name("bob"))
    async with connected(server, new_name("ann")) as client:
        first = await client.send(body)
        again = await client.send({**body, "content": text("other words")})
        after = await client.send(chat(body["to"]["user"]))

    assert again == {**first, "duplicate": True}
    assert after["seq"] == 2


async def test_high_priority_rides_express(server: Server) -> None:
    """In `e`, beside what waits in `s`."""
    bob = new_name("bob")
    async with connected(server, new_name("ann")) as sender, connected(server, bob) as receiver:
        stored = await sender.send(chat(bob, priority="high"))
        (event,) = await receiver.events("e", 1)

    assert (event["pos"], event["message"]["id"]) == (1, stored["message_id"])


async def test_into_a_conversation_one_writes_by_its_id(server: Server) -> None:
    """The other member may answer into what the first has begun."""
    ann, bob = new_name("ann"), new_name("bob")
    begun = await talk(server, ann, bob)
    async with connected(server, bob) as client:
        body = {**chat(ann), "to": {"conversation": begun["conversation_id"]}}
        stored = await client.send(body)

    assert (stored["conversation_id"], stored["seq"]) == (begun["conversation_id"], 2)


REFUSED_SENDS: list[tuple[Json, str, str]] = [
    ({"to": {"user": "me"}}, "bad_request", "send.to.user"),
    ({"to": {"user": ""}}, "bad_request", "send.to.user"),
    ({"to": {"user": "a b"}}, "bad_request", "send.to.user"),
    ({"to": {"user": "x" * 129}}, "bad_request", "send.to.user"),
    ({"to": {"conversation": "none"}}, "bad_request", "send.to.conversation"),
    ({"to": {"conversation": STRANGER}}, "not_found", "send.to.conversation"),
    ({"to": {"users": ["bob"]}}, "forbidden_field", "send.to.users"),
    ({"to": {"channel": "news"}}, "forbidden_field", "send.to.channel"),
    ({"to": {"user": "bob", "group": "x"}}, "unknown_field", "send.to.group"),
    ({"priority": "urgent"}, "forbidden_field", "send.priority"),
    ({"kind": "notification"}, "forbidden_field", "send.kind"),
    ({"from": {"user": "eve"}}, "forbidden_field", "send.from"),
    ({"push": {"title": "x"}}, "forbidden_field", "send.push"),
    ({"send_at": "2030-01-01T00:00:00.000Z"}, "forbidden_field", "send.send_at"),
    ({"channel": "nowhere"}, "unknown_channel", "send.channel"),
    ({"colour": "red"}, "unknown_field", "send.colour"),
    ({"client_id": ""}, "bad_request", "send.client_id"),
    ({"client_id": "a\0b"}, "bad_request", "send.client_id"),
    ({"client_id": "x" * 129}, "bad_request", "send.client_id"),
    ({"expires_in": 0}, "bad_request", "send.expires_in"),
    ({"expires_in": -1}, "bad_request", "send.expires_in"),
    ({"expires_in": 10**20}, "bad_request", "send.expires_in"),
    ({"reply_to": "none"}, "bad_request", "send.reply_to"),
    ({"reply_to": STRANGER}, "not_found", "send.reply_to"),
    ({"content": text("")}, "bad_request", "send.content.text"),
    ({"content": text("a\0b")}, "bad_request", "send.content.text"),
    ({"content": text("x" * MAX_CONTENT_BYTES)}, "too_large", "send.content.text"),
    ({"content": {"type": "json", "data": json.loads("[" * 40 + "]" * 40)}}, "bad_request", "send.content.data"),
    ({"content": {"type": "json", "data": {"a\0": 1}}}, "bad_request", "send.content.data"),
    ({"content": {"type": "json", "data": "x" * MAX_CONTENT_BYTES}}, "too_large", "send.content.data"),
    ({"content": {"type": "text", "text": "a", "markup": "b"}}, "unknown_field", "send.content.markup"),
    ({"content": {"type": "carrier pigeon"}}, "bad_request", "send.content"),
]


@pytest.mark.parametrize(("changes", "code", "field"), REFUSED_SENDS)
async def test_a_refused_send_says_which_field_and_takes_no_number(
    server: Server, changes: Json, code: str, field: str
) -> None:
    """The path is the frame's own; the connection goes on and the next message is the first."""
    user, bob = new_name("ann"), new_name("bob")
    body = {**chat(bob), **changes}
    if body["to"] == {"user": "me"}:
        body["to"] = {"user": user}
    async with connected(server, user) as client:
        assert await client.refused(send=body) == (code, field)
        assert (await client.send(chat(bob)))["seq"] == 1


async def test_a_send_without_an_id_is_refused_as_news(server: Server) -> None:
    """Its answer would have nowhere to go."""
    async with connected(server, new_name("ann")) as client:
        await client.say({"send": chat("bob")})
        frame = await client.hear()

    assert "id" not in frame
    assert refusal(frame) == ("bad_request", "id")


async def test_the_largest_text_goes_through(server: Server) -> None:
    """32 KiB of JSON, whole, to both."""
    bob, words = new_name("bob"), "x" * (MAX_CONTENT_BYTES - len('{"type":"text","text":""}'))
    async with connected(server, new_name("ann")) as sender, connected(server, bob) as receiver:
        await sender.send(chat(bob, words))
        (event,) = await receiver.events("s", 1)

    assert event["message"]["content"] == text(words)


@pytest.mark.parametrize(
    "data", [0, -1.5, 10**30, 2**63, "", None, [], {}, {"a": [{"b": None}]}, True, 1e-300, {"": ""}, '\u2028\\"/']
)
async def test_structured_data_arrives_as_it_was_sent(server: Server, data: object) -> None:
    """Whatever JSON can say."""
    bob = new_name("bob")
    async with connected(server, new_name("ann")) as sender, connected(server, bob) as receiver:
        await sender.send({**chat(bob), "content": {"type": "json", "data": data}})
        (event,) = await receiver.events("s", 1)

    assert event["message"]["content"] == {"type": "json", "data": data}


async def test_a_reply_stays_in_its_conversation(server: Server) -> None:
    """One cannot answer in one conversation what was said in another, even as a member of both."""
    ann = new_name("ann")
    said = await talk(server, ann, new_name("bob"))
    async with connected(server, ann) as client:
        refused = await client.refused(send=chat(new_name("carol"), reply_to=said["message_id"]))

    assert refused == ("not_found", "send.reply_to")


async def test_what_has_expired_keeps_its_place_without_its_content(server: Server) -> None:
    """A device that comes too late sees that something was there."""
    ann, bob = new_name("ann"), new_name("bob")
    async with connected(server, ann) as sender:
        stored = await sender.send(chat(bob, expires_in=1))
    async with rest(server, server.token(bob)) as http, asyncio.timeout(WAIT):
        path = f"/v1/conversations/{stored['conversation_id']}/messages"
        while (await http.get(path)).json()["items"][0]["gone"] is None:
            await asyncio.sleep(0.1)
    async with connected(server, bob, "late") as receiver:
        (event,) = await receiver.events("s", 1)

    assert (event["message"]["content"], event["message"]["gone"]) == (None, "expired")


async def test_sends_in_a_row_get_seqs_in_frame_order(server: Server) -> None:
    """From one connection to one conversation."""
    bob = new_name("bob")
    async with connected(server, new_name("ann")) as client:
        for number in range(300):
            await client.say({"id": number, "send": chat(bob)})
        seqs: dict[int, int] = {}
        while len(seqs) < 300:
            frame = await client.hear()
            seqs |= {frame["id"]: frame["send"]["seq"]} if "send" in frame else {}

    assert seqs == {number: number + 1 for number in range(300)}


async def test_whoever_sends_too_fast_is_told_to_wait_and_at_last_sent_away(strict_server: Server) -> None:
    """The burst goes through, then come waits; a thousand refusals on end are 4004."""
    bob = new_name("bob")
    async with connected(strict_server, new_name("ann")) as client:
        seqs = [(await client.send(chat(bob)))["seq"] for _ in range(20)]
        client.news.clear()
        for number in range(1_100):
            await client.say({"id": number, "send": chat(bob)})
        code, told = await client.ended()

    refused = [frame["error"] for frame in client.news if "error" in frame]
    assert seqs == list(range(1, 21))
    assert {error["code"] for error in refused} == {"rate_limited"}
    assert all(error["retryable"] and error["retry_after_ms"] > 0 for error in refused)
    assert (code, told is not None and told["reconnect"]) == (TOO_MANY, True)


async def test_the_operators_limit_of_content_holds_on_the_socket(strict_server: Server) -> None:
    """As the welcome says."""
    async with open_socket(strict_server) as client:
        welcome = (await client.ask(connect={"token": strict_server.token(new_name("ann"))}))["connect"]
        refused = await client.refused(send=chat("bob", "x" * 1000))

    assert welcome["limits"]["content_bytes"] == 1000
    assert refused == ("too_large", "send.content.text")


# -- ack, read, refresh, signs of life --------------------------------------------------------------------------------


async def test_an_ack_moves_the_device(server: Server) -> None:
    """The device goes on from there, and the sender hears that it was delivered."""
    ann, bob = new_name("ann"), new_name("bob")
    async with connected(server, ann, "a") as sender, connected(server, bob, "b") as receiver:
        await sender.send(chat(bob))
        await sender.send(chat(bob))
        await receiver.events("s", 2)
        await receiver.say({"ack": {"s": 1}})
        (told,) = await sender.events("r", 1)
    async with connected(server, bob, "b") as receiver:
        (event,) = await receiver.events("s", 1)

    assert told["receipt"]["delivered"] == {"express": 0, "standard": 1}
    assert event["pos"] == 2


@pytest.mark.parametrize(
    ("ack", "code", "field"),
    [
        ({"s": 1}, "bad_cursor", "ack.s"),
        ({"e": MAX_POSITION}, "bad_cursor", "ack.e"),
        ({"s": 0, "bs": 5}, "bad_cursor", "ack.bs"),
        ({"r": -1}, "bad_cursor", "ack.r"),
        ({}, "bad_request", "ack"),
        ({"q": 1}, "unknown_field", "ack.q"),
    ],
)
async def test_an_ack_of_what_was_not_sent_moves_nothing(server: Server, ack: Json, code: str, field: str) -> None:
    """Refused whole; the connection goes on."""
    async with connected(server, new_name("ann"), "d") as client:
        assert await client.refused(ack=ack) == (code, field)
        assert "pong" in await client.ask(ping={})


async def test_an_ack_is_not_answered(server: Server) -> None:
    """Not even when it has an id, and not when it comes again."""
    async with connected(server, new_name("ann"), "d") as client:
        for _ in range(3):
            await client.say({"id": 77, "ack": {"s": 0, "e": 0, "be": 0, "bs": 0, "r": 0}})
        assert "pong" in await client.ask(ping={})

    assert client.news == []


async def test_a_read_answers_what_is_still_unread(server: Server) -> None:
    """There and in all; going back or beyond the end changes nothing more."""
    ann, bob = new_name("ann"), new_name("bob")
    conversation = (await talk(server, ann, bob, ["one", "two", "three"]))["conversation_id"]
    async with connected(server, bob) as client:
        answers = [
            (await client.ask(read={"conversation_id": conversation, "seq": seq}))["read"]
            for seq in (0, 2, 1, 3, MAX_POSITION)
        ]

    assert [(answer["unread"], answer["badge"]) for answer in answers] == [(3, 3), (1, 1), (1, 1), (0, 0), (0, 0)]


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"conversation_id": STRANGER, "seq": 1}, "not_found", "read.conversation_id"),
        ({"conversation_id": "none", "seq": 1}, "bad_request", "read.conversation_id"),
        ({"conversation_id": STRANGER, "seq": -1}, "bad_request", "read.seq"),
        ({"conversation_id": STRANGER, "seq": 2**53}, "bad_request", "read.seq"),
        ({"conversation_id": STRANGER}, "bad_request", "read.seq"),
    ],
)
async def test_a_wrong_read_says_which_field(server: Server, body: Json, code: str, field: str) -> None:
    """The path is the frame's own."""
    async with connected(server, new_name("ann")) as client:
        assert await client.refused(read=body) == (code, field)


async def test_a_socket_ends_with_its_token(server: Server) -> None:
    """4401 at `exp`, and not before."""
    begun = time.time()
    user = new_name("ann")
    token = server.token(user, seconds=2)
    async with connected(server, user, token=token) as client:
        code, told = await client.ended()

    assert (code, told is not None and told["reconnect"]) == (TOKEN, False)
    assert int(begun) + 2 <= time.time() < begun + 5


async def test_a_refreshed_socket_outlives_its_first_token(server: Server) -> None:
    """And says when it ends now."""
    user = new_name("ann")
    begun = int(time.time())
    async with connected(server, user, token=server.token(user, seconds=2)) as client:
        answer = await client.ask(refresh={"token": server.token(user, seconds=600)})
        async with asyncio.timeout(WAIT):
            while time.time() < begun + 4:
                assert "pong" in await client.ask(ping={})
                await asyncio.sleep(0.2)

    assert answer["refresh"]["expires_at"].endswith("Z")


async def test_a_refresh_to_a_shorter_token_counts_too(server: Server) -> None:
    """The newest token is the one that holds."""
    user = new_name("ann")
    async with connected(server, user) as client:
        await client.ask(refresh={"token": server.token(user, seconds=1)})
        assert (await client.ended())[0] == TOKEN


@pytest.mark.parametrize("kind", ["another user's", "expired", "other key", "garbage"])
async def test_a_refresh_with_a_wrong_token_is_refused_and_changes_nothing(server: Server, kind: str) -> None:
    """The socket stays with the token it had."""
    user = new_name("ann")
    token, expected = {
        "another user's": (server.token(new_name("eve")), ("forbidden", "refresh.token")),
        "expired": (server.token(user, seconds=-5), ("unauthorized", None)),
        "other key": (tampered(server, user), ("unauthorized", None)),
        "garbage": ("é", ("unauthorized", None)),
    }[kind]
    async with connected(server, user) as client:
        assert await client.refused(refresh={"token": token}) == expected
        assert "pong" in await client.ask(ping={})


async def test_a_sign_of_life_is_asked_for(strict_server: Server) -> None:
    """`{"ping":{}}`, and whoever answers stays."""
    async with connected(strict_server, new_name("ann")) as client:
        for _ in range(2):
            assert await client.hear() == {"ping": {}}
            await client.say({"pong": {}})
        assert "pong" in await client.ask(ping={})


async def test_a_ping_of_the_protocol_is_answered(server: Server) -> None:
    """As RFC 6455 wants, beside our own."""
    async with connected(server, new_name("ann")) as client, asyncio.timeout(WAIT):
        await (await client.socket.ping(b"still there?"))


# -- limits -----------------------------------------------------------------------------------------------------------


async def is_let_in(server: Server, user: str) -> bool:
    """Whether a connect is taken."""
    async with open_socket(server) as client:
        return "connect" in await client.ask(connect={"token": server.token(user)})


async def test_an_eleventh_connection_is_one_too_many(server: Server) -> None:
    """4429; when one of the ten goes there is room again."""
    user = new_name("ann")
    async with AsyncExitStack() as ten:
        clients = [await ten.enter_async_context(connected(server, user)) for _ in range(10)]
        async with open_socket(server) as client:
            answer = await connect_refused(client, token=server.token(user))
        await clients[0].socket.close()
        async with asyncio.timeout(WAIT):
            while not await is_let_in(server, user):
                pass

    assert answer == ("connection_limit", None, LIMIT)


async def test_a_fourth_device_is_one_too_many(strict_server: Server) -> None:
    """4429 with the field; the devices there are may still come."""
    user = new_name("ann")
    for device in ("a", "b", "c"):
        async with connected(strict_server, user, device):
            pass
    async with open_socket(strict_server) as client:
        answer = await connect_refused(client, token=strict_server.token(user), device={"id": "d"})
    async with connected(strict_server, user, "a") as client:
        assert "pong" in await client.ask(ping={})

    assert answer == ("device_limit", "connect.device.id", LIMIT)


async def test_a_newer_connection_of_a_device_replaces_the_older(server: Server) -> None:
    """The older one ends with 4409, the newer one is fed."""
    user, bob = new_name("ann"), new_name("bob")
    async with connected(server, user, "d") as older, connected(server, user, "d") as newer:
        code, told = await older.ended()
        await talk(server, bob, user)
        (event,) = await newer.events("s", 1)

    assert (code, told is not None and told["reconnect"]) == (REPLACED, False)
    assert event["pos"] == 1


async def test_devices_of_the_same_name_are_no_twins_for_two_users(server: Server) -> None:
    """A device's name counts within its user."""
    async with connected(server, new_name("ann"), "phone") as one, connected(server, new_name("bob"), "phone") as other:
        assert "pong" in await one.ask(ping={})
        assert "pong" in await other.ask(ping={})


# -- frames -----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def bystander(server: Server) -> Any:
    """Someone whose connection nothing of this may harm."""
    async with connected(server, new_name("bystander")) as client:
        yield client
        assert "pong" in await client.ask(ping={})


@pytest.mark.parametrize("size", [128 * 1024 + 1, 1024 * 1024])
async def test_a_frame_beyond_128_kib_ends_only_its_own_connection(
    server: Server, bystander: Client, size: int
) -> None:
    """1009, message too big."""
    async with connected(server, new_name("ann")) as client:
        await client.say("x" * size)
        assert (await client.ended())[0] == 1009


async def test_text_that_is_not_ascii_may_be_escaped(server: Server, bystander: Client) -> None:
    """The largest content goes through, also from a client that writes six characters for each."""
    bob = new_name("bob")
    said = json.dumps({"id": 5, "send": chat(bob, "\u00e9" * 16_000)}, ensure_ascii=True)
    async with connected(server, new_name("ann")) as client:
        await client.say(said)
        while (heard := await client.hear()).get("id") != 5:
            pass
        assert heard["send"]["seq"] == 1


async def test_fragments_count_together(server: Server, bystander: Client) -> None:
    """A frame in pieces is as long as all of them."""
    async with connected(server, new_name("ann")) as client:
        await client.socket.send("x" * 50_000 for _ in range(3))
        assert (await client.ended())[0] == 1009


@pytest.mark.parametrize("pieces", [2, 7, 100])
async def test_a_command_in_fragments_is_one_command(server: Server, bystander: Client, pieces: int) -> None:
    """Put together again, wherever it was cut."""
    bob = new_name("bob")
    said = json.dumps({"id": 5, "send": chat(bob, "é" * 50)})
    step = len(said) // pieces + 1
    async with connected(server, new_name("ann")) as client:
        await client.socket.send(said[start : start + step] for start in range(0, len(said), step))
        while (frame := await client.hear()).get("id") != 5:
            pass

    assert frame["send"]["seq"] == 1


@pytest.mark.parametrize("data", [b"{}", b'{"id":1,"ping":{}}', b"", b"\xff" * 100])
async def test_a_binary_frame_is_a_bad_frame(server: Server, bystander: Client, data: bytes) -> None:
    """Commands are text."""
    async with connected(server, new_name("ann")) as client:
        await client.say(data)
        code, _ = await client.ended()

    assert code == BAD_FRAME
    assert refusal(client.news[-2])[0] == "bad_json"


@pytest.mark.parametrize("said", ["", "x", "[]", "null", '{"id":1,"ping":{}}}', "[" * 60_000, '{"a":"\\ud800"}'])
async def test_what_is_no_json_object_is_a_bad_frame(server: Server, bystander: Client, said: str) -> None:
    """4400, after a word on why."""
    async with connected(server, new_name("ann")) as client:
        await client.say(said)
        code, _ = await client.ended()

    assert code == BAD_FRAME
    assert refusal(client.news[-2])[0] == "bad_json"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x80\x81\0\0\0\0x", id="continuation of nothing"),
        pytest.param(b"\xc1\x81\0\0\0\0x", id="reserved bit"),
        pytest.param(b"\x83\x81\0\0\0\0x", id="reserved opcode"),
        pytest.param(b"\x88\x81\0\0\0\0\0", id="half a close code"),
        pytest.param(b"\x88\x82\0\0\0\0\x03\xe7", id="close code 999"),
        pytest.param(b"\x09\x80\0\0\0\0", id="ping in fragments"),
        pytest.param(b"\x89\xfe\0\x7e\0\0\0\0" + b"x" * 126, id="long ping"),
        pytest.param(b"\x01\x80\0\0\0\0" * 2, id="text within text"),
        pytest.param(b"\x81\x02{}", id="no mask"),
    ],
)
async def test_a_broken_frame_ends_only_its_own_connection(server: Server, bystander: Client, data: bytes) -> None:
    """1002, protocol error (RFC 6455 §7.4.1)."""
    async with connected(server, new_name("ann")) as client:
        client.socket.transport.write(data)
        assert (await client.ended())[0] == 1002


@pytest.mark.parametrize("code", [1000, 1001, 4000])
async def test_a_client_that_says_goodbye_is_answered(server: Server, code: int) -> None:
    """The closing handshake is completed with its own code."""
    async with connected(server, new_name("ann")) as client:
        await client.socket.close(code)

    assert client.socket.state is State.CLOSED
    assert client.socket.close_code == code


# -- requests that are no handshakes ----------------------------------------------------------------------------------


async def status_of(server: Server, request: bytes) -> int:
    """The status of what the server answers to a request; unless it is a handshake, it closes then."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.own_port)
    try:
        writer.write(request)
        async with asyncio.timeout(WAIT):
            status = int((await reader.readline()).split()[1])
            if status != 101:
                await reader.read()
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    return status


UPGRADE = b"Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /v1/connect HTTP/1.1\r\n" + UPGRADE + b"\r\n", 400),
        (b"GET /v1/connect HTTP/1.1\r\n" + UPGRADE + b"Sec-WebSocket-Key: x\r\n\r\n", 400),
        (b"GET /v1/connect HTTP/1.1\r\n" + UPGRADE.replace(b"13", b"12") + KEY + b"\r\n", 400),
        (b"GET /v1/other HTTP/1.1\r\n" + UPGRADE + KEY + b"\r\n", 404),
        (b"POST /v1/connect HTTP/1.1\r\n" + UPGRADE + KEY + b"Content-Length: 0\r\n\r\n", 405),
        (b"GET /v1/connect\xff HTTP/1.1\r\n" + UPGRADE + KEY + b"\r\n", 400),
        (b"GET /v1/connect HTTP/1.1\r\n" + UPGRADE + KEY + b"X-A: b\r\n" * 300 + b"\r\n", 400),
        (b"GET /v1/connect HTTP/1.1\r\n" + UPGRADE + KEY + b"X-A: " + b"b" * 20_000 + b"\r\n\r\n", 400),
        (b"GET /v1/connect HTTP/1.1\r\n" + UPGRADE + KEY + b"Content-Length: 5\r\n\r\nhello", 400),
        (b"GET /v1/connect HTTP/1.1\r\n" + UPGRADE + KEY + b"X-A: \x80\xff\r\n\r\n", 101),
    ],
)
async def test_a_request_that_is_no_handshake_is_answered_and_closed(
    server: Server, bystander: Client, request_: bytes, status: int
) -> None:
    """Never left hanging, and never a failure of the server."""
    assert await status_of(server, request_) == status


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"GET /", b"x" * 1000),
        (b"GET / HTTP/1.1\r\nX-A: ", b"x" * 1000),
        (b"GET / HTTP/1.1\r\n", b"X-A: " + b"x" * 100 + b"\r\n"),
        (b"GET /v1/connect HTTP/1.1\r\n" + UPGRADE + KEY, b"X-A: " + b"x" * 100 + b"\r\n"),
        (b"POST /v1/messages HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", b"X-A: b\r\n"),
    ],
)
async def test_a_head_without_an_end_is_not_kept(server: Server, bystander: Client, begin: bytes, more: bytes) -> None:
    """Nobody needs a token to send one, so it is refused when it is too large, and costs nothing."""
    rss, sent = server.rss(), 0
    reader, writer = await asyncio.open_connection("127.0.0.1", server.own_port)
    with suppress(ConnectionError):
        writer.write(begin)
        while sent < 50_000_000 and not reader.at_eof():
            writer.write(more * 1000)
            sent += len(more) * 1000
            await writer.drain()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()

    assert sent < 50_000_000
    assert server.rss() - rss < 8_000_000


async def test_connect_by_plain_http_is_not_found(server: Server) -> None:
    """There is nothing at that path for REST."""
    async with rest(server, server.token("ann")) as http:
        assert problem(await http.get("/v1/connect")) == (404, "not_found")
