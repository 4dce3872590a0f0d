"""Scheduled sends over REST: what is answered, listed and taken back, and to whom."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from aldis.adapters.memory.clock import SystemClock
from aldis.adapters.sql.store import SqlStore
from aldis.api import schemas
from aldis.api.dependencies import ApiDependencies
from aldis.domain.ids import rfc3339
from aldis.services.apply_channel import apply_channel
from aldis.services.delete_channel import delete_channel
from aldis.services.issue_key import issue_key
from aldis.services.send_scheduled import ScheduledSender

Caller = Callable[[str], httpx2.AsyncClient]
HOUR_MS = 3_600_000
UNKNOWN = "01a210d2-23aa-7000-90e6-523929541136"


class Later:
    """A clock of a worker that is ahead of the others."""

    def __init__(self, ahead_ms: int) -> None:
        self._ahead_ms = ahead_ms

    def now_ms(self) -> int:
        return SystemClock().now_ms() + self._ahead_ms

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing is waited for")


def at(hours: float = 1) -> str:
    return rfc3339(SystemClock().now_ms() + int(hours * HOUR_MS))


def notice(text: str = "hi", *, send_at: str | None = None, **more: Any) -> dict[str, Any]:
    body = {"to": {"user": "bob"}, "channel": "orders", "content": {"type": "text", "text": text}}
    return {**body, "send_at": at() if send_at is None else send_at, **more}


async def schedule(client: httpx2.AsyncClient, **more: Any) -> dict[str, Any]:
    response = await client.post("/v1/messages", json=notice(**more))
    assert response.status_code == 202, response.text
    schemas.ScheduledReceipt.model_validate(response.json())
    answer: dict[str, Any] = response.json()
    return answer


async def listed(client: httpx2.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    """All pages of the list."""
    items: list[dict[str, Any]] = []
    while True:
        page = (await client.get("/v1/scheduled", params=query)).json()
        schemas.ScheduledAnswers.model_validate(page)
        items += page["items"]
        if page["next"] is None:
            return items
        query["cursor"] = page["next"]


@pytest.fixture
async def shop(store: SqlStore, as_bearer: Caller) -> httpx2.AsyncClient:
    """A backend with a key for everything, and its channel."""
    await apply_channel({"type": "Notification"}, name="orders", store=store, clock=SystemClock())
    return as_bearer((await issue_key("shop", store=store, clock=SystemClock())).text)


@pytest.fixture
async def press(store: SqlStore, as_bearer: Caller) -> httpx2.AsyncClient:
    """Another backend."""
    return as_bearer((await issue_key("press", store=store, clock=SystemClock())).text)


async def send_due(api: ApiDependencies, hours: float = 2) -> None:
    """What a worker would do then."""
    worker = ScheduledSender(
        store=api.store, sends=api.bulk, channel=api.channel, clock=Later(int(hours * HOUR_MS)), metrics=api.metrics
    )
    while await worker.send_due():
        pass


async def test_it_is_answered_with_its_id_and_time(shop: httpx2.AsyncClient) -> None:
    """202, the time in UTC, and the headers of any send."""
    response = await shop.post("/v1/messages", json=notice(send_at="2026-12-31T08:00:00.5+01:00"))

    answer = response.json()
    assert (response.status_code, answer["send_at"]) == (202, "2026-12-31T07:00:00.500Z")
    assert (answer["duplicate"], answer["state"]) == (False, "waiting")
    assert "ratelimit" in response.headers


async def test_a_repeat_is_answered_with_what_became_of_it(shop: httpx2.AsyncClient, api: ApiDependencies) -> None:
    """The same id before and after its time; then with its messages."""
    send_at = at()
    first = await schedule(shop, client_id="c1", send_at=send_at)
    again = await schedule(shop, client_id="c1", send_at=send_at)
    await send_due(api)
    afterwards = await schedule(shop, client_id="c1", send_at=send_at)

    assert again == {**first, "duplicate": True}
    assert {**afterwards, "messages": None} == {**again, "state": "sent", "messages": None}
    (message,) = afterwards["messages"]
    told = await shop.get(f"/v1/messages/{message['message_id']}")
    assert (told.json()["client_id"], told.json()["seq"]) == ("c1", message["seq"])


async def test_a_request_key_compares_the_body(shop: httpx2.AsyncClient) -> None:
    """The same call is replayed, another time is another body."""
    headers = {"Idempotency-Key": "k1"}
    body = notice()

    first, again = [await shop.post("/v1/messages", json=body, headers=headers) for _ in range(2)]
    other = await shop.post("/v1/messages", json={**body, "send_at": at(2)}, headers=headers)
    now = await shop.post("/v1/messages", json={**body, "send_at": None}, headers=headers)

    assert again.json()["scheduled_id"] == first.json()["scheduled_id"]
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert [(answer.status_code, answer.json()["code"]) for answer in (other, now)] == [
        (422, "idempotency_mismatch")
    ] * 2


@pytest.mark.parametrize(
    ("send_at", "words"),
    [
        ("tomorrow", "must be a time like"),
        ("2026-11-24 08:00:00", "must be a time like"),
        ("2020-01-01T00:00:00Z", "has passed"),
        ("1900-01-01T00:00:00Z", "has passed"),
        ("9999-12-31T23:59:59Z", "more than 366 days"),
    ],
)
async def test_a_time_that_cannot_be_is_refused(shop: httpx2.AsyncClient, send_at: str, words: str) -> None:
    """With the field and what to do."""
    response = await shop.post("/v1/messages", json=notice(send_at=send_at))

    assert (response.status_code, response.json()["field"]) == (400, "send_at")
    assert words in response.json()["detail"]


async def test_users_do_not_schedule(as_user: Caller) -> None:
    """Whatever the time looks like; and they have no list."""
    alice = as_user("alice")
    for send_at in (at(), "tomorrow", 5):
        body = {"to": {"user": "bob"}, "content": {"type": "text", "text": "hi"}, "send_at": send_at}
        response = await alice.post("/v1/messages", json=body)
        assert (response.status_code, response.json()["code"]) == (403, "forbidden_field")
        assert response.json()["field"] == "send_at"
    for method, path in (("GET", ""), ("GET", f"/{UNKNOWN}"), ("DELETE", f"/{UNKNOWN}")):
        assert (await alice.request(method, f"/v1/scheduled{path}")).json()["code"] == "forbidden"


async def test_rules_are_checked_at_once(shop: httpx2.AsyncClient, store: SqlStore, as_bearer: Caller) -> None:
    """A channel that is not there, a key that is not for it, a conversation that nobody has."""
    limited = as_bearer((await issue_key("shop", channels=["other"], store=store, clock=SystemClock())).text)
    to_nobody: dict[str, Any] = {"to": {"conversation": UNKNOWN}, "from": {"user": "alice"}, "channel": None}

    answers = [
        await shop.post("/v1/messages", json=notice(channel="nowhere")),
        await limited.post("/v1/messages", json=notice()),
        await shop.post("/v1/messages", json=notice(**to_nobody)),
    ]

    assert [answer.json()["code"] for answer in answers] == ["unknown_channel", "forbidden", "not_found"]
    assert await listed(shop) == []


async def test_a_backend_sees_its_own_soonest_first(
    shop: httpx2.AsyncClient, press: httpx2.AsyncClient, store: SqlStore, as_bearer: Caller
) -> None:
    """Whichever of its keys asks, page by page; with everything but the content."""
    for hours in (3, 1, 2):
        await schedule(shop, send_at=at(hours), client_id=f"c{hours}")
    await schedule(press)
    other_key = as_bearer((await issue_key("shop", store=store, clock=SystemClock())).text)

    items = await listed(other_key, limit=2)

    assert [item["client_id"] for item in items] == ["c1", "c2", "c3"]
    assert [item["to"] for item in items] == [{"user": "bob"}] * 3
    assert {(item["state"], item["channel"], item["reason"]) for item in items} == {("waiting", "orders", None)}
    assert "content" not in items[0]
    one = (await shop.get(f"/v1/scheduled/{items[0]['scheduled_id']}")).json()
    assert one == items[0]


async def test_each_form_of_recipient_is_told(shop: httpx2.AsyncClient, store: SqlStore) -> None:
    """Several, a channel, a conversation in a user's name."""
    await apply_channel({"type": "Broadcast"}, name="news", store=store, clock=SystemClock())
    chat: dict[str, Any] = {"to": {"user": "bob"}, "from": {"user": "alice"}, "channel": None}
    sent = await shop.post("/v1/messages", json={**notice(**chat), "send_at": None})
    conversation = {"conversation": sent.json()["conversation_id"]}
    await schedule(shop, to={"users": ["alice", "bob"]}, send_at=at(1))
    await schedule(shop, to={"channel": "news"}, channel=None, send_at=at(2))
    await schedule(shop, **{**chat, "to": conversation}, send_at=at(3))

    items = await listed(shop)

    assert [item["to"] for item in items] == [{"users": ["alice", "bob"]}, {"channel": "news"}, conversation]
    assert [item["channel"] for item in items] == ["orders", "news", None]
    assert [item["from"] for item in items] == [None, None, {"user": "alice"}]


async def test_what_was_taken_back_is_not_sent(
    shop: httpx2.AsyncClient, press: httpx2.AsyncClient, api: ApiDependencies
) -> None:
    """204 once, for its owner; to all others, and afterwards, it is not there."""
    body = notice(client_id="c1")
    scheduled = (await shop.post("/v1/messages", json=body)).json()["scheduled_id"]
    path = f"/v1/scheduled/{scheduled}"

    statuses = [(await client.delete(path)).status_code for client in (press, shop, shop, press)]
    await send_due(api)

    assert statuses == [404, 204, 404, 404]
    assert (await shop.get(path)).status_code == 404
    assert (await shop.post("/v1/messages", json=body)).json()["state"] == "cancelled"
    assert await listed(shop) == []


async def test_what_was_sent_is_told_and_cannot_be_taken_back(
    shop: httpx2.AsyncClient, press: httpx2.AsyncClient, api: ApiDependencies
) -> None:
    """409 with the reason; its messages can be had by its id."""
    scheduled = (await schedule(shop, to={"users": ["alice", "bob"]}))["scheduled_id"]
    await send_due(api)

    answer = await shop.delete(f"/v1/scheduled/{scheduled}")
    told = (await shop.get(f"/v1/scheduled/{scheduled}")).json()

    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert (told["state"], told["to"], told["channel"], len(told["messages"])) == ("sent", None, "orders", 2)
    schemas.ScheduledAnswer.model_validate(told)
    assert (await press.get(f"/v1/scheduled/{scheduled}")).status_code == 404


async def test_what_was_refused_stays_with_its_reason(
    shop: httpx2.AsyncClient, api: ApiDependencies, store: SqlStore
) -> None:
    """Failed, listed, and put away when it has been seen."""
    scheduled = (await schedule(shop))["scheduled_id"]
    await delete_channel("orders", actor="cli", store=store, clock=SystemClock())
    await send_due(api)

    (item,) = await listed(shop)
    assert (item["scheduled_id"], item["state"]) == (scheduled, "failed")
    assert (item["reason"]["code"], item["reason"]["field"]) == ("unknown_channel", "channel")
    assert (await shop.delete(f"/v1/scheduled/{scheduled}")).status_code == 204
    assert await listed(shop) == []


@pytest.mark.parametrize(
    "path", ["/v1/scheduled?limit=0", "/v1/scheduled?cursor=x", "/v1/scheduled/1", "/v1/scheduled?x=1"]
)
async def test_a_wrong_question_is_refused(shop: httpx2.AsyncClient, path: str) -> None:
    """As everywhere."""
    assert (await shop.get(path)).status_code == 400


async def test_a_scheduled_send_takes_its_tokens_when_it_is_asked_for(
    shop: httpx2.AsyncClient, api: ApiDependencies
) -> None:
    """One for each recipient, and none when it is sent."""
    before = await shop.post("/v1/messages", json=notice(to={"users": ["alice", "bob", "carol"]}))
    await send_due(api)
    after = await shop.post("/v1/messages", json=notice())

    assert before.headers["ratelimit"].partition(";")[2].startswith("r=1997")
    assert int(after.headers["ratelimit"].partition("r=")[2].partition(";")[0]) >= 1996


async def test_a_client_id_of_a_scheduled_send_is_taken(shop: httpx2.AsyncClient) -> None:
    """A send without a time under it is told whose it is, and the other way round."""
    scheduled = await schedule(shop, client_id="c1")
    now = await shop.post("/v1/messages", json={**notice(client_id="c1"), "send_at": None})
    sent = await shop.post("/v1/messages", json={**notice(client_id="c2"), "send_at": None})
    later = await shop.post("/v1/messages", json=notice(client_id="c2"))

    assert [(a.status_code, a.json()["code"], a.json()["field"]) for a in (now, later)] == [
        (409, "conflict", "client_id")
    ] * 2
    assert scheduled["scheduled_id"] in now.json()["detail"]
    assert sent.json()["message_id"] in later.json()["detail"]
