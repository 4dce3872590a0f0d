"""Broadcasts on the real process: who hears them, where they stand, what is unread."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from integration.broadcast.ears import Ear, Station, listening, on_air
from integration.promise.crowd import wait_until
from served import Server, served

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with served(tmp_path, open_throttle=True) as server:
        yield server


@pytest.fixture
async def station(server: Server) -> AsyncIterator[Station]:
    channels: list[tuple[str, dict[str, str]]] = [
        ("news", {}),
        ("secret", {"history": "Hidden"}),
        ("all", {"audience": "Everyone"}),
    ]
    async with on_air(server, *channels) as station:
        yield station


async def test_subscribers_hear_a_broadcast_and_others_do_not(server: Server, station: Station) -> None:
    """Each subscriber's devices get it once; a user who has not subscribed gets nothing."""
    await station.subscribe("ann", "news")
    ears = [Ear(server, "ann"), Ear(server, "ann", "d2"), Ear(server, "bob")]
    async with listening(ears):
        sent = await station.broadcast("news", "one")
        await wait_until(lambda: all(ear.ids for ear in ears[:2]), "ann hears it")

    assert [ear.ids for ear in ears] == [[sent["message_id"]], [sent["message_id"]], []]
    assert (sent["channel"], sent["seq"], sent["duplicate"]) == ("news", 1, False)


async def test_who_subscribes_while_connected_hears_the_next(server: Server, station: Station) -> None:
    """A subscription holds from its answer on, for sockets that are open."""
    ear = Ear(server, "ann")
    async with listening([ear]):
        await station.broadcast("news", "before")
        await station.subscribe("ann", "news")
        sent = await station.broadcast("news", "after")
        await wait_until(lambda: bool(ear.ids), "ann hears the second")

    assert ear.ids == [sent["message_id"]]
    assert "subscription" in ear.types


async def test_what_was_sent_before_unsubscribing_still_arrives(server: Server, station: Station) -> None:
    """A device that was away gets what was sent while its user was subscribed, and nothing from in between."""
    await station.subscribe("ann", "news")
    ear = Ear(server, "ann")
    async with listening([ear]):
        pass
    during = await station.broadcast("news", "during")
    await station.unsubscribe("ann", "news")
    await station.broadcast("news", "in between")
    await station.subscribe("ann", "news")
    later = await station.broadcast("news", "later")
    async with listening([ear]):
        await wait_until(lambda: len(ear.ids) == 2, "ann hears both")

    assert ear.ids == [during["message_id"], later["message_id"]]


async def test_everyone_hears_a_channel_for_everyone(server: Server, station: Station) -> None:
    """Whoever has been seen hears it: connected or away, without a subscription. A new user begins at now."""
    away, here = Ear(server, "away"), Ear(server, "here")
    async with listening([away]):
        pass
    async with listening([here]):
        sent = await station.broadcast("all", "one")
        await wait_until(lambda: bool(here.ids), "it is heard")
    newcomer = Ear(server, "newcomer")
    async with listening([away, newcomer]):
        await wait_until(lambda: bool(away.ids), "it is heard later")
        second = await station.broadcast("all", "two")
        await wait_until(lambda: bool(newcomer.ids) and len(away.ids) == 2, "the next is heard by both")

    assert here.ids == [sent["message_id"]]
    assert away.ids == [sent["message_id"], second["message_id"]]
    assert newcomer.ids == [second["message_id"]]


async def test_a_channel_made_later_is_heard_from_its_beginning(server: Server, station: Station) -> None:
    """A user who was here before a channel for everyone was declared misses nothing of it."""
    ear = Ear(server, "ann")
    async with listening([ear]):
        pass
    async with on_air(server, ("later", {"audience": "Everyone"})) as backend:
        sent = await backend.broadcast("later", "first")
    async with listening([ear]):
        await wait_until(lambda: bool(ear.ids), "ann hears it")

    assert ear.ids == [sent["message_id"]]


async def test_urgent_broadcasts_ride_in_their_own_source(server: Server, station: Station) -> None:
    """`urgent` and `high` are told in `be`, the others in `bs`."""
    await station.subscribe("ann", "news")
    ear = Ear(server, "ann")
    async with listening([ear]):
        for priority in ("urgent", "low", "high", "normal"):
            await station.broadcast("news", priority, priority=priority)
        await wait_until(lambda: len(ear.ids) == 4, "all are heard")

    assert {source: [pos for pos, _ in ear.heard[source]] for source in ("be", "bs")} == {"be": [1, 2], "bs": [1, 2]}


async def test_a_channel_is_one_conversation_with_unread_from_joining(server: Server, station: Station) -> None:
    """Listed with the others, as a notification; unread counts from where one joined; reading lowers the badge."""
    await station.broadcast("news", "before")
    await station.subscribe("ann", "news")
    await station.broadcast("news", "one")
    await station.broadcast("news", "two")

    (conversation,) = [
        item for item in (await station.get("ann", "/v1/conversations?kind=notification"))["items"]
        if item["channel"] == "news"
    ]  # fmt: skip
    assert (conversation["unread"], conversation["head_seq"], conversation["members"]) == (2, 3, [])
    path = f"/v1/conversations/{conversation['id']}"
    history = await station.get("ann", f"{path}/messages")
    assert [item["content"]["text"] for item in history["items"]] == ["two", "one", "before"]
    read = await station.http.post(f"{path}/read", json={"seq": 2}, headers=station.user("ann"))
    assert read.json() == {"unread": 1, "badge": 1}
    stranger = await station.http.get(f"{path}/messages", headers=station.user("bob"))
    assert stranger.status_code == 404


async def test_a_channel_may_hide_its_past(server: Server, station: Station) -> None:
    """With `history: Hidden` one who joins later sees nothing older, in pages, by id, or from either side."""
    old = await station.broadcast("secret", "before")
    await station.subscribe("ann", "secret")
    new = await station.broadcast("secret", "after")

    items = (await station.get("ann", "/v1/conversations"))["items"]
    (conversation,) = [item for item in items if item["channel"] == "secret"]
    path = f"/v1/conversations/{conversation['id']}/messages"
    for query in ("", "?after=0", "?before=99"):
        texts = [item["content"]["text"] for item in (await station.get("ann", path + query))["items"]]
        assert texts == ["after"]
    assert (await station.http.get(f"/v1/messages/{old['message_id']}", headers=station.user("ann"))).status_code == 404
    assert (await station.http.get(f"/v1/messages/{new['message_id']}", headers=station.user("ann"))).status_code == 200


async def test_backends_get_counts_and_listeners_their_own_status(server: Server, station: Station) -> None:
    """One row for the message, whoever hears it; how far it has come is counted when somebody asks."""
    for user in ("ann", "bob", "cleo"):
        await station.subscribe(user, "news")
    ears = [Ear(server, "ann"), Ear(server, "bob")]
    async with listening(ears):
        sent = await station.broadcast("news", "one")
        path = f"/v1/messages/{sent['message_id']}"
        await wait_until(lambda: all(ear.ids for ear in ears), "two hear it")
        conversation = (await station.get("ann", path))["conversation_id"]
        await station.http.post(f"/v1/conversations/{conversation}/read", json={"seq": 1}, headers=station.user("ann"))

        async def counts() -> dict[str, int]:
            response = await station.http.get(path, headers=station.backend)
            found: dict[str, int] = response.json()["counts"]
            return found

        for _ in range(200):
            if (await counts())["delivered"] == 2:
                break
        assert await counts() == {"audience": 3, "delivered": 2, "read": 1}
    own = (await station.get("ann", path))["recipients"]["items"]
    assert [(item["user"], item["status"]) for item in own] == [("ann", "read")]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [("nothing", 404, "unknown_channel"), ("chat", 400, "bad_request"), ("a b", 400, "bad_request")],
)
async def test_only_broadcast_channels_are_subscribed_to(station: Station, path: str, status: int, code: str) -> None:
    """Others are refused with what is wrong."""
    response = await station.http.put(f"/v1/subscriptions/{path}", headers=station.user("ann"))

    assert (response.status_code, response.json()["code"]) == (status, code)


async def test_nobody_leaves_a_channel_for_everyone_nor_answers_into_a_broadcast(station: Station) -> None:
    """The first is a conflict; a broadcast is one-way."""
    sent = await station.broadcast("all", "one")
    left = await station.http.delete("/v1/subscriptions/all", headers=station.user("ann"))
    await station.subscribe("ann", "all")
    conversation = (await station.get("ann", f"/v1/messages/{sent['message_id']}"))["conversation_id"]
    body = {"to": {"conversation": conversation}, "content": {"type": "text", "text": "hi"}}
    answered = await station.http.post("/v1/messages", json=body, headers=station.user("ann"))
    by_user = {"to": {"channel": "all"}, "content": {"type": "text", "text": "hi"}}
    sent_by_user = await station.http.post("/v1/messages", json=by_user, headers=station.user("ann"))

    assert (left.status_code, left.json()["code"]) == (409, "conflict")
    assert (answered.status_code, answered.json()["code"]) == (403, "read_only")
    assert (sent_by_user.json()["code"], sent_by_user.json()["field"]) == ("forbidden_field", "to.channel")
