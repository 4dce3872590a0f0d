import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from aldis.adapters.memory.clock import SystemClock
from aldis.adapters.sql.store import SqlStore
from aldis.domain.ids import broadcast_conversation_id
from aldis.gateway.watching import OFFLINE_AFTER_MS
from aldis.services.apply_channel import apply_channel
from aldis.services.issue_key import issue_key
from integration.gateway.sockets import WAIT, Client, Json, chat, connected, new_name, problem, rest, talk, text
from served import Server

MOST = WAIT + OFFLINE_AFTER_MS / 1000


@dataclass
class Pair:
    """Ann and Bob have talked, and are both connected."""

    server: Server
    ann: str
    bob: str
    conversation: str
    anns: Client
    bobs: Client


@pytest.fixture
async def pair(server: Server) -> AsyncIterator[Pair]:
    """The two."""
    ann, bob = new_name("ann"), new_name("bob")
    conversation = (await talk(server, ann, bob))["conversation_id"]
    async with connected(server, ann) as anns, connected(server, bob) as bobs:
        yield Pair(server, ann, bob, conversation, anns, bobs)


def typing(conversation: str) -> Json:
    return {"typing": {"conversation_id": conversation}}


async def ephemeral(client: Client) -> Json:
    """The next news without a position."""
    async with asyncio.timeout(MOST):
        while True:
            frame = client.news.pop(0) if client.news else await client.hear()
            if "ephemeral" in frame:
                (news,) = frame["ephemeral"]
                return dict(news)


async def said_by_now(client: Client) -> list[Json]:
    """All ephemeral news that has come before an answer that is asked for now."""
    await client.ask(ping={})
    found = [frame["ephemeral"][0] for frame in client.news if "ephemeral" in frame]
    client.news.clear()
    return found


async def settle(pair: Pair) -> None:
    """Let what was said before be heard: a message by the same way is behind it."""
    await pair.anns.send(chat(pair.bob))
    await pair.bobs.events("s", 1)


async def set_block(server: Server, user: str, other: str, *, blocked: bool) -> None:
    async with rest(server, server.token(user)) as http:
        path = f"/v1/blocks/{other}"
        assert (await (http.put(path) if blocked else http.delete(path))).status_code == 204


# -- typing -----------------------------------------------------------------------------------------------------------


async def test_typing_reaches_all_connections_of_the_other(pair: Pair) -> None:
    """And none of one's own; it has no answer."""
    async with connected(pair.server, pair.bob, "tablet") as tablet, connected(pair.server, pair.ann, "laptop") as own:
        await pair.anns.say({"id": 7, **typing(pair.conversation)})
        news = {"type": "typing", "conversation_id": pair.conversation, "user": pair.ann}

        assert await ephemeral(pair.bobs) == news
        assert await ephemeral(tablet) == news
        assert await said_by_now(pair.anns) == []
        assert await said_by_now(own) == []


async def test_typing_is_told_once_a_second(pair: Pair) -> None:
    """What comes sooner is dropped without a word; the next second is told again."""
    for _ in range(50):
        await pair.anns.say(typing(pair.conversation))
    await ephemeral(pair.bobs)
    assert len(await said_by_now(pair.bobs)) < 50 / 2, "all of them took less than the seconds that this allows for"

    async with asyncio.timeout(WAIT):
        while not await said_by_now(pair.bobs):
            await pair.anns.say(typing(pair.conversation))
            await asyncio.sleep(0.2)


async def test_a_stranger_cannot_say_that_he_types(pair: Pair) -> None:
    """To him the conversation is not there; the error has the id, if there was one."""
    async with connected(pair.server, new_name("eve")) as eve:
        assert await eve.refused(**typing(pair.conversation)) == ("not_found", "typing.conversation_id")
        assert await eve.refused(**typing("no-uuid")) == ("bad_request", "typing.conversation_id")
        await eve.say(typing("00000000-0000-5000-8000-000000000000"))
        assert (await eve.hear())["error"]["code"] == "not_found"

    assert await said_by_now(pair.bobs) == []


async def test_a_block_ends_typing(pair: Pair) -> None:
    """Either way and at once, and it is no error; what was told before was told."""
    await pair.anns.say(typing(pair.conversation))
    await ephemeral(pair.bobs)
    await set_block(pair.server, pair.bob, pair.ann, blocked=True)

    async with connected(pair.server, pair.ann) as fresh:
        await fresh.say(typing(pair.conversation))
        await pair.bobs.say(typing(pair.conversation))
        await set_block(pair.server, pair.bob, pair.ann, blocked=False)
        await fresh.send(chat(pair.bob))
    await pair.bobs.events("s", 1)

    assert await said_by_now(pair.anns) == []
    assert await said_by_now(pair.bobs) == []


# -- presence ---------------------------------------------------------------------------------------------------------


async def watch(client: Client, *users: str) -> dict[str, bool]:
    reply = await client.ask(presence={"watch": list(users)})
    return {each["user"]: each["online"] for each in reply["presence"]["users"]}


async def test_a_watcher_is_told_who_comes_and_goes(pair: Pair) -> None:
    """Coming, and going once it has lasted some seconds."""
    carl = new_name("carl")
    await pair.anns.send(chat(carl))
    assert await watch(pair.anns, pair.bob, carl) == {pair.bob: True, carl: False}

    async with connected(pair.server, carl):
        assert await ephemeral(pair.anns) == {"type": "presence", "user": carl, "online": True}
    assert await ephemeral(pair.anns) == {"type": "presence", "user": carl, "online": False}


async def test_nothing_is_told_of_those_whom_one_does_not_know(pair: Pair) -> None:
    """By socket and by REST: who has never talked with one is offline, and nobody hears of his coming."""
    eve = new_name("eve")
    async with connected(pair.server, eve), rest(pair.server, pair.server.token(pair.ann)) as http:
        assert await watch(pair.anns, eve, pair.bob) == {eve: False, pair.bob: True}
        answer = (await http.get("/v1/presence", params={"user": [eve, pair.bob]})).json()
    async with connected(pair.server, eve):
        await settle(pair)

    assert answer == {"users": [{"user": eve, "online": False}, {"user": pair.bob, "online": True}]}
    assert await said_by_now(pair.anns) == []


async def test_a_block_ends_the_watching_both_ways(pair: Pair) -> None:
    """Each is offline for the other from then on, though both are there."""
    await watch(pair.anns, pair.bob)
    await watch(pair.bobs, pair.ann)

    await set_block(pair.server, pair.bob, pair.ann, blocked=True)

    assert await ephemeral(pair.anns) == {"type": "presence", "user": pair.bob, "online": False}
    assert await ephemeral(pair.bobs) == {"type": "presence", "user": pair.ann, "online": False}
    assert await watch(pair.anns, pair.bob) == {pair.bob: False}
    async with rest(pair.server, pair.server.token(pair.bob)) as http:
        answer = (await http.get("/v1/presence", params={"user": pair.ann})).json()
    assert answer == {"users": [{"user": pair.ann, "online": False}]}


async def test_a_list_has_a_bound_and_a_pace(server: Server) -> None:
    """A hundred users; ten lists at once, then one a second. What is refused leaves the list as it was."""
    async with connected(server, new_name("ann")) as client:
        users = [f"user-{number}" for number in range(101)]
        assert await client.refused(presence={"watch": users}) == ("too_large", "presence.watch")
        assert await client.refused(presence={"watch": ["bob", "a b"]}) == ("bad_request", "presence.watch.1")
        assert len(await watch(client, *users[:100])) == 100
        for _ in range(50):
            await client.say({"id": 1, "presence": {"watch": []}})
        codes = [(await client.hear()).get("error", {}).get("code") for _ in range(50)]
    async with rest(server, server.token("ann")) as http:
        assert problem(await http.get("/v1/presence", params=[("user", user) for user in users])) == (
            400,
            "bad_request",
        )
        assert problem(await http.get("/v1/presence")) == (400, "bad_request")

    assert set(codes) == {None, "rate_limited"}


# -- settings of conversations ----------------------------------------------------------------------------------------


async def test_settings_are_told_to_all_of_ones_devices(pair: Pair) -> None:
    """And to nobody else; a new message changes nothing of them, and counts all the same."""
    async with rest(pair.server, pair.server.token(pair.bob)) as http:
        path = f"/v1/conversations/{pair.conversation}"
        first = await http.patch(path, json={"muted": True})
        second = await http.patch(path, json={"archived": True})
        again = await http.patch(path, json={"archived": True})
        told = await pair.bobs.events("r", 2)
        await settle(pair)
        listed = (await http.get("/v1/conversations", params={"archived": "true"})).json()["items"]
        others = (await http.get("/v1/conversations", params={"archived": "false"})).json()["items"]
        one = (await http.get(path)).json()

    muted = {"conversation_id": pair.conversation, "muted": True, "archived": False}
    both = {**muted, "archived": True}
    assert [first.json(), second.json(), again.json()] == [muted, both, both]
    assert [(each["type"], each["conversation"]) for each in told] == [("conversation", muted), ("conversation", both)]
    assert not [
        frame for frame in pair.bobs.news + pair.anns.news if "conversation" in str(frame.get("events", ""))[:40]
    ]
    assert ([each["id"] for each in listed], others) == ([pair.conversation], [])
    assert (one["muted"], one["archived"], one["unread"]) == (True, True, 2)
    assert listed == [one]


async def test_a_stranger_sets_and_sees_nothing(pair: Pair) -> None:
    """To him the conversation is not there."""
    path = f"/v1/conversations/{pair.conversation}"
    async with rest(pair.server, pair.server.token(new_name("eve"))) as http:
        assert problem(await http.patch(path, json={"muted": True})) == (404, "not_found")
        assert problem(await http.get(path)) == (404, "not_found")
    async with rest(pair.server, pair.server.token(pair.ann)) as http:
        assert problem(await http.patch(path, json={})) == (400, "bad_request")
        assert problem(await http.patch(path, json={"muted": "yes"})) == (400, "bad_request")
        assert (await http.get(path)).json()["muted"] is False


async def test_a_broadcast_channels_conversation_is_set_like_any_other(server: Server, store: SqlStore) -> None:
    """By those who hear it; nobody types there."""
    bob, name = new_name("bob"), new_name("show")
    await apply_channel({"type": "Broadcast"}, name=name, store=store, clock=SystemClock())
    key = await issue_key(new_name("shop"), store=store, clock=SystemClock())
    path = f"/v1/conversations/{broadcast_conversation_id(name)}"
    async with rest(server, server.token(bob)) as http, rest(server, key.text) as shop:
        before = await http.patch(path, json={"muted": True})
        assert (await http.put(f"/v1/subscriptions/{name}")).status_code == 204
        sent = await shop.post("/v1/messages", json={"to": {"channel": name}, "content": text()})
        after = await http.patch(path, json={"muted": True})
        shown = (await http.get(path)).json()
    async with connected(server, bob) as client:
        typed = await client.refused(**typing(broadcast_conversation_id(name)))

    assert (problem(before), sent.status_code, after.status_code) == ((404, "not_found"), 201, 200)
    assert (shown["muted"], shown["unread"]) == (True, 1)
    assert typed == ("read_only", "typing.conversation_id")


# -- blocks -----------------------------------------------------------------------------------------------------------


async def test_blocks_are_listed_page_by_page(server: Server) -> None:
    """By name, each once, with the time; those of others are theirs."""
    ann = new_name("ann")
    others = sorted(new_name("bob") for _ in range(3))
    async with rest(server, server.token(ann)) as http:
        for other in others:
            assert (await http.put(f"/v1/blocks/{other}")).status_code == 204
            assert (await http.put(f"/v1/blocks/{other}")).status_code == 204
        first = (await http.get("/v1/blocks", params={"limit": 2})).json()
        second = (await http.get("/v1/blocks", params={"limit": 2, "cursor": first["next"]})).json()
        one = (await http.get(f"/v1/blocks/{others[0]}")).json()
        assert (await http.delete(f"/v1/blocks/{others[0]}")).status_code == 204
        assert (await http.delete(f"/v1/blocks/{others[0]}")).status_code == 204
        gone = await http.get(f"/v1/blocks/{others[0]}")
        own = await http.put(f"/v1/blocks/{ann}")
    async with rest(server, server.token(others[1])) as http:
        assert (await http.get("/v1/blocks")).json() == {"items": [], "next": None}

    assert [each["user"] for each in first["items"] + second["items"]] == others
    assert (second["next"], one) == (None, first["items"][0])
    assert (problem(gone), problem(own)) == ((404, "not_found"), (400, "bad_request"))


async def test_what_was_sent_before_a_block_still_arrives(server: Server) -> None:
    """A block stops what is written, not what was accepted; and its receipts."""
    ann, bob = new_name("ann"), new_name("bob")
    async with connected(server, bob, "phone"):
        pass
    async with connected(server, ann) as anns:
        await anns.send(chat(bob, "before"))
        await set_block(server, bob, ann, blocked=True)
        async with connected(server, bob, "phone") as bobs:
            (event,) = await bobs.events("s", 1)
            await bobs.say({"ack": {"s": event["pos"]}})
            (receipt,) = await anns.events("r", 1)

    assert event["message"]["content"] == text("before")
    assert receipt["receipt"]["delivered"]["standard"] == 1
