"""Broadcasts that are edited and deleted, on the real process: who hears of it, once, and where."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from integration.broadcast.ears import Ear, Station, listening, on_air
from integration.gateway.sockets import new_name
from integration.promise.crowd import wait_until
from served import Server, served

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async with served(tmp_path_factory.mktemp("server"), open_throttle=True) as server:
        yield server


@pytest.fixture(scope="module")
async def station(server: Server) -> AsyncIterator[Station]:
    channels: list[tuple[str, dict[str, str]]] = [
        ("news", {}),
        ("secret", {"history": "Hidden"}),
        ("all", {"audience": "Everyone", "history": "Hidden"}),
        ("closing", {"audience": "Everyone"}),
    ]
    async with on_air(server, *channels) as station:
        yield station


async def edit(station: Station, message_id: str, words: str) -> None:
    body = {"content": {"type": "text", "text": words}}
    response = await station.http.patch(f"/v1/messages/{message_id}", json=body, headers=station.backend)
    assert response.status_code == 200, response.text


async def delete(station: Station, message_id: str) -> None:
    response = await station.http.delete(f"/v1/messages/{message_id}", headers=station.backend)
    assert response.status_code == 204, response.text


def heard(ear: Ear) -> list[tuple[str, str]]:
    """The types and the ids of the broadcasts heard in `bs`, in order."""
    types = [type_ for type_ in ear.types if type_.startswith("message")]
    return list(zip(types, (message_id for _, message_id in ear.heard["bs"]), strict=True))


def faults(ears: Sequence[Ear]) -> list[str]:
    return [fault for ear in ears for fault in ear.faults]


async def test_listeners_hear_of_each_change_once_and_in_order(server: Server, station: Station) -> None:
    """Those who are there and those who were away, all in the order in which it happened; others nothing."""
    here, away, stranger = (Ear(server, new_name(stem)) for stem in ("ann", "bob", "eve"))
    for ear in (here, away):
        await station.subscribe(ear.user, "news")
    async with listening([away]):
        pass
    async with listening([here, stranger]):
        first = (await station.broadcast("news", "one"))["message_id"]
        second = (await station.broadcast("news", "two"))["message_id"]
        await edit(station, first, "ONE")
        await delete(station, second)
        await edit(station, first, "One")
        await wait_until(lambda: len(heard(here)) == 5, "it is heard")
    async with listening([away]):
        await wait_until(lambda: len(heard(away)) == 5, "it is heard later")

    expected = [
        ("message", first),
        ("message", second),
        ("message.edited", first),
        ("message.deleted", second),
        ("message.edited", first),
    ]
    assert [heard(here), heard(away), heard(stranger)] == [expected, expected, []]
    assert faults([here, away, stranger]) == []


async def test_changes_and_what_else_is_sent_keep_their_order_through_lost_sockets(
    server: Server, station: Station
) -> None:
    """Two channels, one of them with a hidden past, edits between the sends, and sockets that are lost meanwhile."""
    ear, expected = Ear(server, new_name("ann")), []
    for channel in ("news", "secret"):
        await station.subscribe(ear.user, channel)
    async with listening([ear]):
        for number in range(30):
            channel = ("news", "secret")[number % 2]
            message_id = (await station.broadcast(channel, str(number)))["message_id"]
            await edit(station, message_id, f"edit {number}")
            expected += [("message", message_id), ("message.edited", message_id)]
            if number % 7 == 3:
                ear.flap()
        await wait_until(lambda: len(heard(ear)) == 60, "all is heard")

    assert heard(ear) == expected
    places = [pos for pos, _ in ear.heard["bs"]]
    assert places == list(range(places[0], places[0] + 60))
    assert ear.faults == []


async def test_where_the_past_is_hidden_late_listeners_hear_nothing_of_it(server: Server, station: Station) -> None:
    """Neither the words nor that there was anything: live, when they resume, and as a user who has just come."""
    old, late = Ear(server, new_name("old")), Ear(server, new_name("late"))
    await station.subscribe(old.user, "secret")
    async with listening([old]):
        before = (await station.broadcast("secret", "before"))["message_id"]
        await station.subscribe(late.user, "secret")
        async with listening([late]):
            await edit(station, before, "BEFORE")
            after = (await station.broadcast("secret", "after"))["message_id"]
            await edit(station, after, "AFTER")
            await wait_until(lambda: len(heard(late)) == 2 and len(heard(old)) == 4, "all is heard")
        await delete(station, before)
        await delete(station, after)
        await wait_until(lambda: len(heard(old)) == 6, "the deletions are heard")
    async with listening([late]):
        await wait_until(lambda: len(heard(late)) == 3, "the late one hears of his own")

    mine = [("message", after), ("message.edited", after), ("message.deleted", after)]
    assert heard(late) == mine
    assert [event for event in heard(old) if event[1] == after] == mine
    assert [type_ for type_, message_id in heard(old) if message_id == before] == [
        "message", "message.edited", "message.deleted",
    ]  # fmt: skip
    assert faults([old, late]) == []


async def test_whoever_hears_a_channel_for_everyone_hears_of_what_he_heard(server: Server, station: Station) -> None:
    """A new user begins at now, also with what is told of earlier broadcasts."""
    here, newcomer = Ear(server, new_name("here")), Ear(server, new_name("newcomer"))
    async with listening([here]):
        first = (await station.broadcast("all", "one"))["message_id"]
        async with listening([newcomer]):
            await edit(station, first, "ONE")
            second = (await station.broadcast("all", "two"))["message_id"]
            await edit(station, second, "TWO")
            await wait_until(lambda: len(heard(newcomer)) == 2 and len(heard(here)) == 4, "all is heard")

    assert heard(newcomer) == [("message", second), ("message.edited", second)]
    assert faults([here, newcomer]) == []


async def test_where_the_past_is_visible_late_listeners_hear_of_it(server: Server, station: Station) -> None:
    """They may see the message, so they hear what becomes of it."""
    first = (await station.broadcast("news", "one"))["message_id"]
    late = Ear(server, new_name("late"))
    await station.subscribe(late.user, "news")
    async with listening([late]):
        await edit(station, first, "ONE")
        await wait_until(lambda: bool(heard(late)), "it is heard")

    assert heard(late) == [("message.edited", first)]


async def test_counts_are_not_moved_by_changes(server: Server, station: Station) -> None:
    """What is unread, the badge, and how many have it; listeners see the words of now."""
    ann = new_name("ann")
    await station.subscribe(ann, "news")
    first = (await station.broadcast("news", "one"))["message_id"]

    async def counts() -> tuple[Any, ...]:
        of = (await station.http.get(f"/v1/messages/{first}", headers=station.backend)).json()["counts"]
        listed = (await station.get(ann, "/v1/conversations?kind=notification"))["items"]
        unread = [item["unread"] for item in listed if item["channel"] == "news"]
        return of, unread, (await station.get(ann, "/v1/badge"))["badge"]

    before = await counts()
    await edit(station, first, "ONE")
    seen = await station.get(ann, f"/v1/messages/{first}")
    edited = await counts()
    await delete(station, first)

    assert before[1:] == ([1], 1)
    assert seen["content"]["text"] == "ONE"
    assert edited == before
    assert await counts() == before


async def test_a_broadcast_of_a_closed_channel_can_be_deleted(server: Server, station: Station) -> None:
    """All who heard it are told."""
    here = Ear(server, new_name("here"))
    async with listening([here]):
        first = (await station.broadcast("closing", "one"))["message_id"]
        admin = {"authorization": f"Bearer {await server.key('ops', '--admin')}"}
        assert (await station.http.delete("/v1/admin/channels/closing", headers=admin)).status_code == 204
        await delete(station, first)
        await wait_until(lambda: len(heard(here)) == 2, "it is heard")

    assert heard(here) == [("message", first), ("message.deleted", first)]


async def test_a_change_that_no_doorbell_told_is_found(server: Server, station: Station) -> None:
    """After a kill in the moment of the answer: what is committed reaches those who come back."""
    ear = Ear(server, new_name("ann"))
    await station.subscribe(ear.user, "secret")
    async with listening([ear]):
        first = (await station.broadcast("secret", "one"))["message_id"]
        await edit(station, first, "ONE")
        await server.kill()
        await server.start()
        await wait_until(lambda: len(heard(ear)) == 2, "it is heard")

    assert heard(ear) == [("message", first), ("message.edited", first)]
    assert ear.faults == []
