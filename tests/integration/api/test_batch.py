"""Batches over REST: order, partial success, repeats, limits; each message answered as if it had been sent alone."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from aldis.adapters.memory.clock import DrivenClock, SystemClock
from aldis.adapters.memory.limiter import MemoryLimiter
from aldis.adapters.sql.store import SqlStore
from aldis.api import schemas
from aldis.api.app import build_app
from aldis.api.dependencies import ApiDependencies, Rates, RequestLimits
from aldis.domain.ids import rfc3339
from aldis.ports.limiter import Rate
from aldis.services.apply_channel import apply_channel
from aldis.services.authenticate import sign_token
from aldis.services.issue_key import issue_key
from integration.api.conftest import SECRET

Caller = Callable[[str], httpx2.AsyncClient]
Limited = Callable[..., httpx2.AsyncClient]
UUID = "00000000-0000-5000-8000-000000000000"
HI = {"type": "text", "text": "hi"}
PATH = "/v1/messages:batch"


def item(client_id: str, text: str = "hi", to: str = "bob", **more: Any) -> dict[str, Any]:
    return {"to": {"user": to}, "client_id": client_id, "content": {"type": "text", "text": text}, **more}


def notice(client_id: str, text: str = "hi", to: str = "bob", **more: Any) -> dict[str, Any]:
    return item(client_id, text, to, channel="orders", **more)


async def send(client: httpx2.AsyncClient, messages: Sequence[Any], **headers: str) -> list[dict[str, Any]]:
    """The results, in the shape that the description promises."""
    response = await client.post(PATH, json={"messages": messages}, headers=headers)
    assert response.status_code == 200, response.text
    results: list[dict[str, Any]] = response.json()["results"]
    schemas.BatchAnswer.model_validate(response.json())
    assert [result["index"] for result in results] == list(range(len(messages)))
    return results


def told(results: Sequence[dict[str, Any]]) -> list[tuple[int, str | None]]:
    """Status and code of each."""
    return [(result["status"], (result.get("error") or {}).get("code")) for result in results]


async def history(client: httpx2.AsyncClient, conversation: str) -> list[str]:
    page = (await client.get(f"/v1/conversations/{conversation}/messages?after=0&limit=200")).json()
    return [message["content"]["text"] for message in page["items"]]


@pytest.fixture
async def shop(store: SqlStore, as_bearer: Caller) -> httpx2.AsyncClient:
    """A backend with a key for everything, and its channel."""
    await apply_channel({"type": "Notification"}, name="orders", store=store, clock=SystemClock())
    return as_bearer((await issue_key("shop", store=store, clock=SystemClock())).text)


async def test_a_users_batch_is_stored_in_its_order(as_user: Caller) -> None:
    """Across slices and groups, mixed with another conversation: seq follows the batch."""
    alice = as_user("alice")

    results = await send(alice, [item(f"c{n}", f"{n:03}", to="bob" if n % 3 else "carol") for n in range(600)])

    assert set(told(results)) == {(201, None)}
    for friend in ("bob", "carol"):
        own = [result for n, result in enumerate(results) if (friend == "bob") == bool(n % 3)]
        assert [result["seq"] for result in own] == list(range(1, len(own) + 1))
        texts = await history(alice, own[0]["conversation_id"])
        assert texts == [f"{n:03}" for n in range(600) if (friend == "bob") == bool(n % 3)][:200]


async def test_one_that_fails_leaves_the_order_of_the_others(as_user: Caller) -> None:
    """Whatever is wrong with the ones in the middle."""
    alice = as_user("alice")
    messages = [
        item("c0", "0"),
        {**item("c1"), "content": {"type": "text", "text": 1}},
        item("c2", "2"),
        item("c3", to="alice"),
        item("c4", "4"),
        {"to": {"conversation": UUID}, "client_id": "c5", "content": HI},
        item("c6", "6"),
        5,
    ]  # fmt: skip

    results = await send(alice, messages)

    assert told(results) == [
        (201, None), (400, "bad_request"), (201, None), (400, "bad_request"), (201, None), (404, "not_found"),
        (201, None), (400, "bad_request"),
    ]  # fmt: skip
    assert [results[place]["error"]["field"] for place in (1, 3, 5, 7)] == [
        "messages.1.content.text", "messages.3.to.user", "messages.5.to.conversation", "messages.7",
    ]  # fmt: skip
    assert await history(alice, results[0]["conversation_id"]) == ["0", "2", "4", "6"]


async def test_a_repeat_within_and_after_the_batch_is_one_message(as_user: Caller) -> None:
    """Twice in one batch, in the next one and by itself: the first answer, marked."""
    alice = as_user("alice")

    results = await send(alice, [item("c0", "one"), item("c0", "one"), item("c1", "two")])
    again = await send(alice, [item("c1", "two"), item("c0", "one")])
    alone = (await alice.post("/v1/messages", json=item("c0", "one"))).json()

    assert [result["duplicate"] for result in results + again] == [False, True, False, True, True]
    assert len({result["message_id"] for result in (results[0], results[1], again[1], alone)}) == 1
    assert await history(alice, alone["conversation_id"]) == ["one", "two"]


async def test_a_whole_call_is_repeated_under_its_key(shop: httpx2.AsyncClient) -> None:
    """All of it marked as replayed; a message that is another one now is refused in its place."""
    messages = [notice("c0"), notice("c1", to="carol"), {**notice("c2"), "to": {"users": ["bob", "carol"]}}]
    body = {"messages": messages}

    first, again = [await shop.post(PATH, json=body, headers={"Idempotency-Key": "k1"}) for _ in range(2)]
    other = await send(shop, [notice("c9", "other"), messages[1]], **{"Idempotency-Key": "k1"})

    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert told(other) == [(422, "idempotency_mismatch"), (201, None)]
    assert other[0]["error"]["field"] == "Idempotency-Key"
    assert other[1]["duplicate"]


async def test_a_backends_batch_may_hold_everything(shop: httpx2.AsyncClient, store: SqlStore, as_user: Caller) -> None:
    """Notifications to one and to several, broadcasts, chats in a user's name, and sends for later."""
    await apply_channel({"type": "Broadcast"}, name="news", store=store, clock=SystemClock())
    later = {"send_at": "2026-11-24T08:00:00Z"}
    soon = {"send_at": rfc3339(SystemClock().now_ms() + 3_600_000)}

    results = await send(
        shop,
        [
            notice("c0"),
            {**notice("c1"), "to": {"users": ["bob", "carol"]}},
            {"to": {"channel": "news"}, "client_id": "c2", "content": {"type": "json", "data": {"n": 1}}},
            {**item("c3"), "from": {"user": "alice"}},
            notice("c4", **later),
            notice("c5", **soon),
            notice("c5", **soon),
        ],
    )

    assert told(results)[:4] == [(201, None)] * 4
    assert [each["recipient"] for each in results[1]["messages"]] == ["bob", "carol"]
    assert (results[2]["channel"], results[2]["seq"]) == ("news", 1)
    assert await history(as_user("bob"), results[3]["conversation_id"]) == ["hi"]
    assert told(results)[4:] == [(400, "bad_request"), (202, None), (202, None)]
    assert results[4]["error"]["field"] == "messages.4.send_at"
    assert results[5]["scheduled_id"] == results[6]["scheduled_id"]
    assert [results[5]["duplicate"], results[6]["duplicate"]] == [False, True]


async def test_what_only_backends_may_say_is_refused_where_a_user_says_it(as_user: Caller) -> None:
    """By its path; the rest of the batch goes."""
    results = await send(
        as_user("alice"),
        [
            item("c0"),
            item("c1", send_at="2026-12-31T08:00:00Z"),
            item("c2", send_at="soon"),
            item("c3", priority="urgent"),
            item("c4", push={"title": "x"}),
            {**item("c5"), "to": {"users": ["bob"]}},
        ],
    )

    assert told(results) == [(201, None)] + [(403, "forbidden_field")] * 5
    fields = [result["error"]["field"].partition(".")[2].partition(".")[2] for result in results[1:]]
    assert fields == ["send_at", "send_at", "priority", "push", "to.users"]


def _limited(api: ApiDependencies, **rates: Any) -> ApiDependencies:
    """The same with rates that a test reaches, and a clock that stands still for them."""
    return replace(api, limiter=MemoryLimiter(clock=DrivenClock()), **rates)


@pytest.fixture
def as_limited(api: ApiDependencies) -> Limited:
    """Call an application with other limits."""

    def open_client(credential: str, **changes: Any) -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(app=build_app(_limited(api, **changes)))
        headers = {"authorization": f"Bearer {credential}"}
        return httpx2.AsyncClient(transport=transport, base_url="http://aldis.test", headers=headers)

    return open_client


def token_of(user: str) -> str:
    return sign_token(user, SECRET, 600, SystemClock().now_ms() // 1000)


async def test_what_exceeds_the_rate_waits_and_so_does_all_behind_it(
    as_limited: Limited,
) -> None:
    """The first five go; each of the others is told when its own turn will have come. A mistake costs nothing."""
    async with as_limited(token_of("alice"), rates=Rates(user=Rate(2, 5), key=Rate(1, 1))) as alice:
        messages = [item(f"c{n}", f"{n}") for n in range(8)]
        messages.insert(2, {"colour": "red", **messages[0]})

        response = await alice.post(PATH, json={"messages": messages})
        results = response.json()["results"]
        empty = await alice.post(PATH, json={"messages": messages})

    expected = [(201, None)] * 5 + [(429, "rate_limited")] * 3
    expected.insert(2, (400, "unknown_field"))
    assert told(results) == expected
    assert [result["error"]["retry_after_ms"] for result in results[6:]] == [500, 1000, 1500]
    assert response.headers["ratelimit"] == '"user";r=0;t=3'
    assert (empty.status_code, empty.json()["code"], empty.headers["retry-after"]) == (429, "rate_limited", "1")


async def test_a_send_to_several_costs_one_for_each(
    as_limited: Limited, store: SqlStore, shop: httpx2.AsyncClient
) -> None:
    """One that is too dear waits, and a cheaper one behind it does not overtake it."""
    key = (await issue_key("shop", store=store, clock=SystemClock())).text
    async with as_limited(key, rates=Rates(user=Rate(1, 1), key=Rate(1, 4))) as client:
        several = {**notice("c1"), "to": {"users": ["bob", "carol", "dave"]}}
        results = await send(client, [notice("c0"), several, notice("c2"), notice("c3")])

    assert told(results) == [(201, None), (201, None), (429, "rate_limited"), (429, "rate_limited")]
    assert [result["error"]["retry_after_ms"] for result in results[2:]] == [1000, 2000]


async def test_a_channels_own_limit_holds_up_that_channel_alone(
    as_limited: Limited, store: SqlStore, shop: httpx2.AsyncClient
) -> None:
    """What goes into another channel goes."""
    spec = {"type": "Notification", "limits": {"messagesPerSecond": 1}}
    await apply_channel(spec, name="slow", store=store, clock=SystemClock())
    key = (await issue_key("shop", store=store, clock=SystemClock())).text
    async with as_limited(key, limits=RequestLimits(recipients=3)) as client:
        slow = [item(f"s{n}", channel="slow") for n in range(5)]
        results = await send(client, [*slow[:4], notice("c0"), slow[4]])

    assert told(results) == [(201, None)] * 3 + [(429, "rate_limited"), (201, None), (429, "rate_limited")]
    assert [results[3]["error"]["field"], results[5]["error"]["field"]] == ["messages.3.channel", "messages.5.channel"]
    assert [results[3]["error"]["retry_after_ms"], results[5]["error"]["retry_after_ms"]] == [1000, 2000]


async def test_a_batch_has_a_bounded_number_of_recipients(
    as_limited: Limited, store: SqlStore, shop: httpx2.AsyncClient
) -> None:
    """Beyond it each is refused in its place."""
    key = (await issue_key("shop", store=store, clock=SystemClock())).text
    async with as_limited(key, limits=RequestLimits(batch_recipients=4)) as client:
        several = {**notice("c1"), "to": {"users": ["bob", "carol", "dave"]}}
        results = await send(client, [notice("c0"), several, notice("c2")])

    assert told(results) == [(201, None), (201, None), (413, "too_large")]


WRONG: list[dict[str, Any]] = [
    {"to": {"user": "b b"}}, {"to": {"user": "bob", "cc": "x"}}, {"to": {}}, {"to": {"user": "a", "users": ["b"]}},
    {"to": {"users": []}}, {"to": {"users": ["bob", "x y"]}}, {"to": {"users": ["bob", "bob"]}}, {"to": {"user": 5}},
    {"to": {"users": [f"u{n}" for n in range(1001)]}}, {"to": {"conversation": "c1"}}, {"to": {"channel": "nowhere"}},
    {"to": "bob"}, {"to": None}, {"content": {"type": "text"}}, {"content": {"type": "text", "text": ""}},
    {"content": {"type": "text", "text": "a\u0000b"}}, {"content": {"type": "text", "text": "x" * 33_000}},
    {"content": {"type": "json"}}, {"content": {"type": "media", "media_id": "m"}}, {"content": {"text": "hi"}},
    {"content": "hi"}, {"content": {"type": "text", "text": "hi", "size": 1}}, {"content": {"type": "text", "text": 5}},
    {"content": {"type": "json", "data": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}},
    {"priority": "asap"}, {"kind": "broadcast"}, {"channel": "a b"}, {"channel": "undeclared"},
    {"expires_in": 0}, {"expires_in": "60"}, {"expires_in": True}, {"expires_in": 60.5},
    {"expires_in": 10**30}, {"reply_to": "m"}, {"reply_to": "00000000-0000-7000-8000-000000000000"}, {"client_id": ""},
    {"client_id": "x" * 129}, {"client_id": "a\u0085b"}, {"client_id": 5}, {"from": {"user": "a b"}},
    {"from": {"backend": "x"}}, {"from": "alice"}, {"colour": "red"}, {"push": {"title": "x"}}, {"send_at": 5},
    {"send_at": "2026-13-01T00:00:00Z"}, {"send_at": "2020-01-01T00:00:00Z"}, {"send_at": "9999-01-01T00:00:00Z"},
]  # fmt: skip


@pytest.mark.parametrize("as_whom", ["shop", "alice"])
@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: str(wrong)[:40])
async def test_a_mistake_is_told_as_in_a_single_send(
    shop: httpx2.AsyncClient, as_user: Caller, wrong: dict[str, Any], as_whom: str
) -> None:
    """The same code, words and field, below the message's place."""
    build = notice if as_whom == "shop" else item
    await _same_as_alone(shop if as_whom == "shop" else as_user("alice"), {**build("c1"), **wrong}, build("c0"))


@pytest.mark.parametrize("wrong", [{"kind": "chat"}, {"channel": None}, {"to": {"conversation": UUID}}])
async def test_a_backends_mistake_is_told_as_in_a_single_send(shop: httpx2.AsyncClient, wrong: dict[str, Any]) -> None:
    """What users may say is not what backends may."""
    await _same_as_alone(shop, {**notice("c1"), **wrong}, notice("c0"))


async def _same_as_alone(client: httpx2.AsyncClient, body: dict[str, Any], right: dict[str, Any]) -> None:
    alone = await client.post("/v1/messages", json=body)
    good, bad = await send(client, [right, body])

    assert good["status"] == 201
    assert bad["status"] == alone.status_code >= 400, alone.text
    problem, error = alone.json(), bad["error"]
    expected = f"messages.1.{problem['field']}" if problem["field"] else None
    assert (error["code"], error["message"], error["field"]) == (problem["code"], problem["detail"], expected)


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        (b"", 400, "bad_json", None),
        (b"[]", 400, "bad_json", None),
        (b'{"messages":[]}', 400, "bad_request", "messages"),
        (b'{"messages":{}}', 400, "bad_request", "messages"),
        (b'{"messages":[1],"atomic":true}', 400, "unknown_field", "atomic"),
        (b'{"messages":[' + b",".join([b"1"] * 1001) + b"]}", 413, "too_large", "messages"),
    ],
)
async def test_a_wrong_batch_is_a_problem(
    as_user: Caller, body: bytes, status: int, code: str, field: str | None
) -> None:
    """As any other call that is wrong."""
    response = await as_user("alice").post(PATH, content=body)

    assert (response.status_code, response.json()["code"], response.json()["field"]) == (status, code, field)


async def test_only_callers_we_know_send_batches(as_bearer: Caller) -> None:
    """Before anything is read."""
    response = await as_bearer("nonsense").post(PATH, json={"messages": [item("c0")]})

    assert response.status_code == 401


async def test_the_description_has_the_batch(as_user: Caller) -> None:
    """Its body too, though it is read in another way."""
    description = (await as_user("alice").get("/openapi.json")).json()
    post = description["paths"][PATH]["post"]
    messages = post["requestBody"]["content"]["application/json"]["schema"]["properties"]["messages"]

    assert messages["maxItems"] == 1000
    assert {"to", "content", "client_id"} <= set(messages["items"]["required"])
    parts = [part["$ref"] for part in messages["items"]["properties"].values() if "$ref" in part]
    assert parts
    assert all(part.rpartition("/")[2] in description["components"]["schemas"] for part in parts)
