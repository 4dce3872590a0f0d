"""Edits, deletions and threads on the real process: what devices get, and what REST says and refuses."""

from collections.abc import Sequence
from typing import Any

import httpx2
import pytest

from aldis.adapters.memory.clock import SystemClock
from aldis.adapters.sql.store import SqlStore
from aldis.api import schemas
from aldis.services.apply_channel import apply_channel
from aldis.services.delete_channel import delete_channel
from aldis.services.issue_key import issue_key
from integration.gateway.sockets import Client, Json, chat, connected, new_name, problem, rest, text
from served import Server, served

NOBODY = "01a3185c-5000-74ec-9654-2e063d8fc4e8"


async def cursor_of(client: Client, server: Server, user: str) -> str:
    """Where a user's list stands, and a device can go on."""
    async with rest(server, server.token(user)) as http:
        found: str = (await http.get("/v1/conversations")).json()["cursor"]
        return found


def told(events: Sequence[Json]) -> list[tuple[int, str, Any]]:
    """Position, type, and the text or why there is none."""
    return [
        (e["pos"], e["type"], e["message"]["content"]["text"] if e["message"]["content"] else e["message"]["gone"])
        for e in events
    ]


async def edit(http: httpx2.AsyncClient, message_id: str, words: str) -> Json:
    response = await http.patch(f"/v1/messages/{message_id}", json={"content": text(words)})
    assert response.status_code == 200, response.text
    answer: Json = response.json()
    return answer


async def delete(http: httpx2.AsyncClient, message_id: str) -> None:
    response = await http.delete(f"/v1/messages/{message_id}")
    assert (response.status_code, response.content) == (204, b"")


async def write(http: httpx2.AsyncClient, to: str, words: str, **more: Any) -> Json:
    response = await http.post("/v1/messages", json={"to": {"user": to}, "content": text(words), **more})
    assert response.status_code == 201, response.text
    answer: Json = response.json()
    return answer


# -- on sockets -------------------------------------------------------------------------------------------------------


async def test_devices_get_edits_and_deletions_in_order_live_and_when_they_resume(server: Server) -> None:
    """The recipient's device that is there, the one that was away, and the sender's own: each once, in one order."""
    ann, bob = new_name("ann"), new_name("bob")
    async with connected(server, bob, "tablet"):
        pass  # known from now on, and away
    async with (
        rest(server, server.token(ann)) as http,
        connected(server, bob, "phone") as phone,
        connected(server, ann, "laptop") as laptop,
    ):
        first = (await laptop.send(chat(bob, "one")))["message_id"]
        second = (await laptop.send(chat(bob, "two")))["message_id"]
        await edit(http, first, "ONE")
        await write(http, bob, "three")
        await delete(http, second)
        await edit(http, first, "One")
        live, own = await phone.events("s", 6), await laptop.events("s", 6)
    async with connected(server, bob, "tablet") as tablet:
        late = await tablet.events("s", 6)

    kinds = ["message", "message", "message.edited", "message", "message.deleted", "message.edited"]
    assert [(e["pos"], e["type"]) for e in live] == list(enumerate(kinds, start=1))
    assert [said for _, _, said in told(live)] == ["one", "two", "ONE", "three", "deleted", "One"]
    assert [(e["pos"], e["type"]) for e in own] == list(enumerate(kinds, start=1))
    assert [(e["pos"], e["type"]) for e in late] == list(enumerate(kinds, start=1))
    assert [said for _, _, said in told(late)] == ["One", "deleted", "One", "three", "deleted", "One"]
    assert [e["message"]["seq"] for e in late] == [1, 2, 1, 3, 2, 1]


async def test_a_device_resumes_between_an_edit_and_a_deletion(server: Server) -> None:
    """From its cursor: what it has is not repeated, what it has not follows."""
    ann, bob = new_name("ann"), new_name("bob")
    async with rest(server, server.token(ann)) as http:
        message_id = (await write(http, bob, "one"))["message_id"]
        await edit(http, message_id, "two")
        async with connected(server, bob, "phone") as phone:
            assert told(await phone.events("s", 2)) == [(1, "message", "two"), (2, "message.edited", "two")]
            cursor = await cursor_of(phone, server, bob)
        await delete(http, message_id)
    async with connected(server, bob, "phone", cursor=cursor) as phone:
        assert told(await phone.events("s", 1)) == [(3, "message.deleted", "deleted")]


async def test_nothing_is_told_of_what_changes_nothing(server: Server) -> None:
    """The next event after a repeated edit and a repeated deletion is the next message's."""
    ann, bob = new_name("ann"), new_name("bob")
    async with rest(server, server.token(ann)) as http, connected(server, bob) as phone:
        first, second = (await write(http, bob, "one"))["message_id"], (await write(http, bob, "two"))["message_id"]
        unchanged = await edit(http, first, "one")
        await delete(http, second)
        await delete(http, second)
        await write(http, bob, "three")
        events = await phone.events("s", 4)

    assert unchanged["edited_at"] is None
    assert told(events)[2:] == [(3, "message.deleted", "deleted"), (4, "message", "three")]


async def test_edits_survive_a_kill(tmp_path: Any) -> None:
    """What was answered is committed, the event with the message: a device finds both after `kill -9`."""
    async with served(tmp_path, open_throttle=True) as own:
        async with rest(own, own.token("ann")) as http:
            kept = (await write(http, "bob", "one"))["message_id"]
            gone = (await write(http, "bob", "two"))["message_id"]
            await edit(http, kept, "ONE")
            await delete(http, gone)
        await own.kill()
        await own.start()
        async with connected(own, "bob", "phone") as phone:
            assert told(await phone.events("s", 4)) == [
                (1, "message", "ONE"), (2, "message", "deleted"), (3, "message.edited", "ONE"),
                (4, "message.deleted", "deleted"),
            ]  # fmt: skip


async def test_event_streams_and_polls_tell_of_them_too(server: Server) -> None:
    """The same frames by the same rules."""
    ann, bob = new_name("ann"), new_name("bob")
    async with rest(server, server.token(ann)) as http, rest(server, server.token(bob)) as polling:
        message_id = (await write(http, bob, "one"))["message_id"]
        await edit(http, message_id, "two")
        answer = (await polling.get("/v1/sync", params={"device": "web", "wait": 5})).json()

    events = [event for frame in answer["frames"] if frame.get("source") == "s" for event in frame["events"]]
    assert told(events) == [(1, "message", "two"), (2, "message.edited", "two")]


# -- by REST ----------------------------------------------------------------------------------------------------------


async def test_an_edit_answers_the_message_and_everything_shows_it(server: Server) -> None:
    """The answer, GET, the history of both and the list of conversations agree, word for word."""
    ann, bob = new_name("ann"), new_name("bob")
    async with rest(server, server.token(ann)) as hers, rest(server, server.token(bob)) as his:
        sent = await write(hers, bob, "one", client_id="c-1")
        answer = await edit(hers, sent["message_id"], "two")
        got = (await his.get(f"/v1/messages/{sent['message_id']}")).json()
        history = (await his.get(f"/v1/conversations/{sent['conversation_id']}/messages")).json()
        listed = (await his.get("/v1/conversations")).json()

    assert schemas.MessageAnswer.model_validate(answer).content == schemas.Text.model_validate(text("two"))
    assert (answer["id"], answer["seq"], answer["client_id"]) == (sent["message_id"], 1, "c-1")
    assert answer["edited_at"] >= answer["created_at"]
    assert {name: got[name] for name in answer} == answer
    assert history["items"] == [answer]
    assert listed["items"][0]["last_message"] == answer


async def test_a_deletion_shows_everywhere(server: Server) -> None:
    """The place is there, the content is not; counts are what they were."""
    ann, bob = new_name("ann"), new_name("bob")
    async with rest(server, server.token(ann)) as hers, rest(server, server.token(bob)) as his:
        sent = await write(hers, bob, "one", expires_in=3600)
        await delete(hers, sent["message_id"])
        for http in (hers, his):
            got = (await http.get(f"/v1/messages/{sent['message_id']}")).json()
            history = (await http.get(f"/v1/conversations/{sent['conversation_id']}/messages")).json()
            found = [got, *history["items"]]
            assert [(m["gone"], m["content"], m["seq"], m["expires_at"]) for m in found] == [
                ("deleted", None, 1, None)
            ] * 2
        assert (await his.get("/v1/badge")).json() == {"badge": 1}
        refused = await hers.patch(f"/v1/messages/{sent['message_id']}", json={"content": text()})

    assert problem(refused) == (409, "conflict")
    assert "gone (deleted)" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({}, 400, "bad_request", "content"),
        ({"content": {"type": "text", "text": ""}}, 400, "bad_request", "content.text"),
        ({"content": {"type": "text", "text": "a\0b"}}, 400, "bad_request", "content.text"),
        ({"content": {"type": "media", "media_id": "m"}}, 400, "bad_request", "content.type"),
        ({"content": {"type": "text", "text": "x" * 40_000}}, 413, "too_large", "content.text"),
        ({"content": {"type": "text", "text": "hi", "size": 1}}, 400, "unknown_field", "content.size"),
        ({"content": {"type": "text", "text": "hi"}, "priority": "high"}, 400, "unknown_field", "priority"),
    ],
    ids=str,
)
async def test_what_a_message_cannot_say_it_cannot_be_edited_to(
    server: Server, body: Json, status: int, code: str, field: str
) -> None:
    """The same rules as for sends, with the path of what is wrong; nothing is changed."""
    async with rest(server, server.token(new_name("ann"))) as http:
        message_id = (await write(http, new_name("bob"), "one"))["message_id"]
        refused = await http.patch(f"/v1/messages/{message_id}", json=body)
        now = (await http.get(f"/v1/messages/{message_id}")).json()

    assert (*problem(refused), refused.json()["field"]) == (status, code, field)
    assert (now["content"], now["edited_at"]) == (text("one"), None)


async def test_an_edit_may_be_anything_json(server: Server) -> None:
    """Text becomes data and data text."""
    data = {"type": "json", "data": {"a": [1, None]}}
    async with rest(server, server.token(new_name("ann"))) as http:
        message_id = (await write(http, new_name("bob"), "one"))["message_id"]
        answer = await http.patch(f"/v1/messages/{message_id}", json={"content": data})

    assert answer.json()["content"] == data


async def test_ids_that_lead_nowhere(server: Server) -> None:
    """Unknown ones are not there, impossible ones are named."""
    async with rest(server, server.token(new_name("ann"))) as http:
        unknown = [
            await http.patch(f"/v1/messages/{NOBODY}", json={"content": text()}),
            await http.delete(f"/v1/messages/{NOBODY}"),
        ]
        impossible = [
            await http.patch("/v1/messages/x", json={"content": text()}),
            await http.delete("/v1/messages/x"),
        ]

    assert [problem(response) for response in unknown] == [(404, "not_found")] * 2
    assert [(*problem(r), r.json()["field"]) for r in impossible] == [(400, "bad_request", "message_id")] * 2


async def test_a_block_forbids_edits_in_the_words_of_sends(server: Server) -> None:
    """Nobody learns more of it than that these two may not write; a deletion is always possible."""
    ann, bob = new_name("ann"), new_name("bob")
    async with rest(server, server.token(ann)) as hers, rest(server, server.token(bob)) as his:
        message_id = (await write(hers, bob, "one"))["message_id"]
        assert (await his.put(f"/v1/blocks/{ann}")).status_code == 204
        edited = await hers.patch(f"/v1/messages/{message_id}", json={"content": text("two")})
        sent = await hers.post("/v1/messages", json={"to": {"user": bob}, "content": text("two")})
        await delete(hers, message_id)

    assert problem(edited) == problem(sent) == (403, "forbidden")
    assert edited.json()["detail"] == sent.json()["detail"]


async def test_a_closed_channel_takes_no_edits(server: Server, store: SqlStore) -> None:
    """In the words of sends; a deletion is always possible."""
    channel, bob, clock = new_name("ch"), new_name("bob"), SystemClock()
    await apply_channel({"type": "Notification"}, name=channel, store=store, clock=clock)
    issued = await issue_key(new_name("shop"), store=store, clock=clock)
    async with rest(server, issued.text) as http:
        sent = await http.post("/v1/messages", json={"to": {"user": bob}, "channel": channel, "content": text()})
        await delete_channel(channel, actor="cli", store=store, clock=clock)
        path = f"/v1/messages/{sent.json()['message_id']}"
        refused = await http.patch(path, json={"content": text("two")})
        await delete(http, sent.json()["message_id"])

    assert problem(refused) == (404, "unknown_channel")


async def test_edits_cost_what_sends_cost_and_deletions_nothing(strict_server: Server) -> None:
    """A token of the sender's bucket each, also for what changes nothing, told in the headers; then 429."""
    ann, bob = new_name("ann"), new_name("bob")
    async with rest(strict_server, strict_server.token(ann)) as http:
        message_id = (await write(http, bob, "one"))["message_id"]
        answers = [
            await http.patch(f"/v1/messages/{message_id}", json={"content": text(str(number))}) for number in range(40)
        ]
        deleted = [(await http.delete(f"/v1/messages/{message_id}")).status_code for _ in range(40)]

    statuses = [answer.status_code for answer in answers]
    assert 15 < statuses.count(200) < 35
    assert statuses.count(200) + statuses.count(429) == 40
    assert all(answer.headers["ratelimit-policy"] == '"user";q=20;w=4' for answer in answers)
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers if answer.status_code == 429)
    assert deleted == [204] * 40


async def test_edits_of_a_backend_count_into_the_channels_limit(server: Server, store: SqlStore) -> None:
    """As its sends do."""
    channel, clock = new_name("ch"), SystemClock()
    spec: Json = {"type": "Broadcast", "limits": {"messagesPerSecond": 500}}
    await apply_channel(spec, name=channel, store=store, clock=clock)
    issued = await issue_key(new_name("shop"), store=store, clock=clock)
    async with rest(server, issued.text) as http:
        sent = await http.post("/v1/messages", json={"to": {"channel": channel}, "content": text()})
        path = f"/v1/messages/{sent.json()['message_id']}"
        answer = await http.patch(path, json={"content": text("two")})

    assert answer.status_code == 200
    assert '"channel";q=1000;w=2' in answer.headers["ratelimit-policy"]


# -- threads ----------------------------------------------------------------------------------------------------------


async def test_a_thread_is_paged_as_a_history_is(server: Server) -> None:
    """Newest first by `next`, and upwards from its first message; what is not of it is left out."""
    ann, bob = new_name("ann"), new_name("bob")
    async with rest(server, server.token(ann)) as hers, rest(server, server.token(bob)) as his:
        root = await write(hers, bob, "root")
        for number in range(5):
            await write(his, ann, f"reply {number}", reply_to=root["message_id"])
            await write(hers, bob, f"other {number}")
        path = f"/v1/conversations/{root['conversation_id']}/messages"
        query: Json = {"thread": root["message_id"], "limit": 2}
        pages = [(await hers.get(path, params=query)).json()]
        while pages[-1]["next"] is not None:
            pages.append((await hers.get(path, params={**query, "cursor": pages[-1]["next"]})).json())
        upwards = (await his.get(path, params={"thread": root["message_id"], "after": 0, "limit": 3})).json()
        below = (await his.get(path, params={"thread": root["message_id"], "before": 4})).json()

    words = [[message["content"]["text"] for message in page["items"]] for page in pages]
    assert words == [["reply 4", "reply 3"], ["reply 2", "reply 1"], ["reply 0", "root"]]
    assert [m["content"]["text"] for m in upwards["items"]] == ["root", "reply 0", "reply 1"]
    assert [m["content"]["text"] for m in below["items"]] == ["reply 0", "root"]
    assert {m["thread_id"] for m in upwards["items"]} == {None, root["message_id"]}


async def test_threads_that_are_not_there(server: Server) -> None:
    """For a stranger, in another conversation, from an id that is none, or from a reply."""
    ann, bob = new_name("ann"), new_name("bob")
    async with (
        rest(server, server.token(ann)) as hers,
        rest(server, server.token(bob)) as his,
        rest(server, server.token(new_name("eve"))) as eves,
    ):
        root = await write(hers, bob, "root")
        reply = await write(his, ann, "reply", reply_to=root["message_id"])
        elsewhere = await write(hers, new_name("carl"), "elsewhere")
        path = f"/v1/conversations/{root['conversation_id']}/messages"

        async def refused(http: httpx2.AsyncClient, thread: str) -> tuple[Any, ...]:
            response = await http.get(path, params={"thread": thread})
            return *problem(response), response.json()["field"]

        assert await refused(eves, root["message_id"]) == (404, "not_found", "conversation_id")
        assert await refused(hers, elsewhere["message_id"]) == (404, "not_found", "thread")
        assert await refused(hers, NOBODY) == (404, "not_found", "thread")
        assert await refused(hers, "x") == (400, "bad_request", "thread")
        assert await refused(hers, reply["message_id"]) == (400, "bad_request", "thread")
