from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from aldis.adapters.memory.clock import SystemClock
from aldis.adapters.sql.store import SqlStore
from aldis.api import schemas
from aldis.domain.cursors import parse_cursor
from aldis.domain.devices import Device
from aldis.domain.ids import DeviceId, UserId
from aldis.services.apply_channel import apply_channel
from aldis.services.issue_key import issue_key, revoke_key

Caller = Callable[[str], httpx2.AsyncClient]


async def write(client: httpx2.AsyncClient, to: str, text: str = "hi", **more: Any) -> dict[str, Any]:
    body = {"to": {"user": to}, "content": {"type": "text", "text": text}, **more}
    response = await client.post("/v1/messages", json=body)
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def shop(store: SqlStore, as_bearer: Caller, **rights: Any) -> httpx2.AsyncClient:
    """A backend with a key, and its channel."""
    await apply_channel({"type": "Notification"}, name="orders", store=store, clock=SystemClock())
    issued = await issue_key("shop", store=store, clock=SystemClock(), **rights)
    return as_bearer(issued.text)


async def know_device(store: SqlStore, user: str, device: str) -> None:
    async with store.begin() as transaction:
        await transaction.put_devices([Device(user=UserId(user), id=DeviceId(device))], SystemClock().now_ms())


async def test_what_was_sent_is_in_the_history_of_both(as_user: Caller) -> None:
    """A 201 means committed: both members read the same, at once."""
    sent = await write(as_user("alice"), "bob", "hello")

    for user in ("alice", "bob"):
        response = await as_user(user).get(f"/v1/conversations/{sent['conversation_id']}/messages")
        history = schemas.HistoryAnswer.model_validate(response.json())
        assert [(each.id, each.content) for each in history.items] == [
            (sent["message_id"], schemas.Text(type="text", text="hello"))
        ]


async def test_a_stranger_sees_nothing_of_it(as_user: Caller) -> None:
    """Carol gets the same answer as for ids that do not exist."""
    sent = await write(as_user("alice"), "bob")

    for path in (
        f"/v1/messages/{sent['message_id']}",
        f"/v1/messages/{sent['message_id']}/timeline",
        f"/v1/conversations/{sent['conversation_id']}/messages",
    ):
        assert (await as_user("carol").get(path)).status_code == 404
    read = await as_user("carol").post(f"/v1/conversations/{sent['conversation_id']}/read", json={"seq": 1})
    assert read.status_code == 404


async def test_one_answers_into_the_conversation(as_user: Caller) -> None:
    """Bob answers by the conversation's id; a stranger cannot."""
    sent = await write(as_user("alice"), "bob")
    body = {"to": {"conversation": sent["conversation_id"]}, "content": {"type": "json", "data": {"n": 1}}}

    answer = await as_user("bob").post("/v1/messages", json={**body, "reply_to": sent["message_id"]})
    intrusion = await as_user("carol").post("/v1/messages", json=body)

    assert (answer.status_code, answer.json()["seq"]) == (201, 2)
    assert intrusion.status_code == 404


async def test_paging_sees_every_message_once(as_user: Caller) -> None:
    """Following `next` to the end, newest first and oldest first, gives each seq once and in order."""
    alice = as_user("alice")
    sent = [await write(alice, "bob", str(number)) for number in range(7)]
    path = f"/v1/conversations/{sent[0]['conversation_id']}/messages"

    for start, expected in (({}, [7, 6, 5, 4, 3, 2, 1]), ({"after": 0}, [1, 2, 3, 4, 5, 6, 7])):
        seen: list[int] = []
        query: dict[str, Any] | None = {**start, "limit": 3}
        while query is not None:
            page = (await alice.get(path, params=query)).json()
            seen += [item["seq"] for item in page["items"]]
            query = {"cursor": page["next"], "limit": 3} if page["next"] else None
        assert seen == expected


async def test_conversations_are_listed_newest_first_across_pages(as_user: Caller) -> None:
    """Each once, the one written to last at the top, with its last message and what is unread."""
    alice = as_user("alice")
    for friend in ("bob", "carol", "dave"):
        await write(as_user(friend), "alice", f"from {friend}")
    await write(as_user("bob"), "alice", "again")

    first = schemas.ConversationsAnswer.model_validate((await alice.get("/v1/conversations?limit=2")).json())
    rest = await alice.get("/v1/conversations", params={"limit": 2, "cursor": first.next or ""})
    second = schemas.ConversationsAnswer.model_validate(rest.json())

    rows = [*first.items, *second.items]
    assert [(set(row.members) - {"alice"}).pop() for row in rows] == ["bob", "dave", "carol"]
    assert [row.unread for row in rows] == [2, 1, 1]
    assert rows[0].last_message is not None
    assert rows[0].last_message.content == schemas.Text(type="text", text="again")
    assert (second.next, second.cursor) == (None, None)


async def test_the_lists_cursor_is_where_the_stream_stands(as_user: Caller, store: SqlStore) -> None:
    """A client that goes on from it misses nothing and sees nothing twice."""
    await write(as_user("alice"), "bob")
    await write(as_user("alice"), "bob", priority="high")

    answer = (await as_user("bob").get("/v1/conversations")).json()

    cursor = parse_cursor(answer["cursor"])
    assert cursor.epoch == store.epoch
    assert (cursor.positions.e, cursor.positions.s) == (1, 1)


async def test_a_repeat_with_the_same_key_is_one_message(as_user: Caller) -> None:
    """The same body is answered with the first message, another body is refused."""
    alice = as_user("alice")
    body = {"to": {"user": "bob"}, "content": {"type": "text", "text": "once"}}
    other = {**body, "content": {"type": "text", "text": "twice"}}

    first, again, mismatch = [
        await alice.post("/v1/messages", json=each, headers={"Idempotency-Key": "k1"}) for each in (body, body, other)
    ]
    elsewhere = await as_user("carol").post("/v1/messages", json=other, headers={"Idempotency-Key": "k1"})

    assert again.json()["message_id"] == first.json()["message_id"]
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert (mismatch.status_code, mismatch.json()["code"]) == (422, "idempotency_mismatch")
    assert elsewhere.status_code == 201


async def test_a_client_id_makes_a_send_repeatable(as_user: Caller) -> None:
    """The same id gives the same answer."""
    first = await write(as_user("alice"), "bob", client_id="c1")
    again = await write(as_user("alice"), "bob", client_id="c1")

    assert again == {**first, "duplicate": True}


async def test_acknowledging_and_reading_show_in_status_timeline_and_badge(as_user: Caller, store: SqlStore) -> None:
    """First pending, delivered by an ack, then read; the badge counts down."""
    sent = await write(as_user("alice"), "bob")
    alice, bob = as_user("alice"), as_user("bob")
    await know_device(store, "bob", "phone")

    async def status() -> str:
        answer = await alice.get(f"/v1/messages/{sent['message_id']}")
        return schemas.MessageStatusAnswer.model_validate(answer.json()).recipients.items[0].status

    assert (await status(), (await bob.get("/v1/badge")).json()) == ("pending", {"badge": 1})
    assert (await bob.post("/v1/ack?device=phone", json={"s": 1})).status_code == 204
    assert await status() == "delivered"
    read = await bob.post(f"/v1/conversations/{sent['conversation_id']}/read", json={"seq": 1})
    assert read.json() == {"unread": 0, "badge": 0}
    assert (await status(), (await bob.get("/v1/badge")).json()) == ("read", {"badge": 0})

    timeline = (await alice.get(f"/v1/messages/{sent['message_id']}/timeline")).json()
    assert [(each["type"], each["device"]) for each in timeline["items"]] == [
        ("accepted", None),
        ("stored", None),
        ("queued", None),
        ("delivered", "phone"),
        ("read", None),
    ]


async def test_an_acknowledgement_above_the_head_moves_nothing(as_user: Caller, store: SqlStore) -> None:
    """`bad_cursor`, and the status stays."""
    sent = await write(as_user("alice"), "bob")
    await know_device(store, "bob", "phone")

    response = await as_user("bob").post("/v1/ack?device=phone", json={"e": 0, "s": 2})

    assert response.json()["code"] == "bad_cursor"
    answer = (await as_user("alice").get(f"/v1/messages/{sent['message_id']}")).json()
    assert answer["recipients"]["items"][0]["status"] == "pending"


async def test_a_backend_notifies_several(store: SqlStore, as_bearer: Caller, as_user: Caller) -> None:
    """An answer for each recipient; each has it in a conversation that cannot be answered into."""
    backend = await shop(store, as_bearer, channels=["orders"])
    body = {"to": {"users": ["alice", "bob"]}, "channel": "orders", "content": {"type": "json", "data": {"order": 7}}}

    response = await backend.post("/v1/messages", json={**body, "kind": "notification"})

    answer = schemas.SentSeveral.model_validate(response.json())
    assert [each.recipient for each in answer.messages] == ["alice", "bob"]
    listed = (await as_user("bob").get("/v1/conversations?kind=notification")).json()["items"]
    assert [row["last_message"]["sender"] for row in listed] == [{"backend": "shop"}]
    assert (await as_user("bob").get("/v1/conversations?kind=chat")).json()["items"] == []
    reply = {"to": {"conversation": listed[0]["id"]}, "content": {"type": "text", "text": "no"}}
    assert (await as_user("bob").post("/v1/messages", json=reply)).json()["code"] == "read_only"


async def test_a_repeat_to_several_is_marked(store: SqlStore, as_bearer: Caller) -> None:
    """One key covers all recipients of a body."""
    backend = await shop(store, as_bearer)
    body = {"to": {"users": ["alice", "bob"]}, "channel": "orders", "content": {"type": "text", "text": "sale"}}

    first, again = [await backend.post("/v1/messages", json=body, headers={"Idempotency-Key": "k1"}) for _ in range(2)]

    assert again.headers["idempotent-replayed"] == "true"
    assert [m["message_id"] for m in again.json()["messages"]] == [m["message_id"] for m in first.json()["messages"]]


async def test_a_key_sees_and_serves_its_channels_only(store: SqlStore, as_bearer: Caller, as_user: Caller) -> None:
    """The status of a chat is not there for a key of another channel; an undeclared channel is named."""
    backend = await shop(store, as_bearer, channels=["orders"])
    sent = await write(as_user("alice"), "bob")
    other = {"to": {"user": "bob"}, "channel": "news", "content": {"type": "text", "text": "hi"}}

    assert (await backend.get(f"/v1/messages/{sent['message_id']}")).status_code == 404
    assert (await backend.post("/v1/messages", json=other)).json()["field"] == "channel"
    assert (await backend.get("/v1/conversations")).json()["code"] == "forbidden"


async def test_a_revoked_key_is_refused(store: SqlStore, as_bearer: Caller) -> None:
    """Once revoked and never seen by this process before, at once."""
    issued = await issue_key("shop", store=store, clock=SystemClock())
    await revoke_key(issued.key.id, store=store, clock=SystemClock())

    assert (await as_bearer(issued.text).get(f"/v1/messages/{'0' * 8}-0000-7000-8000-{'0' * 12}")).status_code == 401


@pytest.mark.parametrize(
    ("more", "field"),
    [({"kind": "notification"}, "kind"), ({"priority": "urgent"}, "priority"), ({"from": {"user": "bob"}}, "from")],
)
async def test_what_a_user_may_not_set_is_named(as_user: Caller, more: dict[str, Any], field: str) -> None:
    """`forbidden_field` with its path."""
    body = {"to": {"user": "bob"}, "content": {"type": "text", "text": "hi"}, **more}

    response = await as_user("alice").post("/v1/messages", json=body)

    assert (response.status_code, response.json()["field"]) == (403, field)


@pytest.mark.parametrize("text", ["\x00", "\ud800"])
async def test_text_that_cannot_be_stored_is_refused(as_user: Caller, text: str) -> None:
    """400 with the field, never a failure of ours."""
    escaped = "".join(f"\\u{ord(character):04x}" for character in text)
    body = f'{{"to":{{"user":"bob"}},"content":{{"type":"text","text":"{escaped}"}}}}'

    response = await as_user("alice").post("/v1/messages", content=body, headers={"content-type": "application/json"})

    assert (response.status_code, response.json()["field"]) == (400, "content.text")
