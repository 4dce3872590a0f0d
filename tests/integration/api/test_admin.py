"""Calls for administrators on a real database: who may, what each does, and that each change is in the audit log."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi.routing import APIRoute

from aldis.adapters.memory.clock import SystemClock
from aldis.adapters.sql.schema_state import known_revisions
from aldis.adapters.sql.store import SqlStore
from aldis.api.app import build_app
from aldis.api.auditing import AUDITED
from aldis.api.dependencies import ApiDependencies
from aldis.domain.audit import Action
from aldis.domain.callers import Scope
from aldis.services.issue_key import issue_key
from integration.api.conftest import Caller

ADMIN = "/v1/admin"
NEWS: dict[str, Any] = {"type": "Notification", "displayName": "News", "delivery": {"priority": "high"}}
NOBODYS_ID = "01a3185c-5000-74ec-9654-2e063d8fc4e8"
CALLS: list[tuple[str, str, Any, int]] = [
    ("GET", "/channels", None, 200),
    ("GET", "/channels/chat", None, 200),
    ("PUT", "/channels/news", NEWS, 201),
    ("DELETE", "/channels/nowhere", None, 404),
    ("GET", "/keys", None, 200),
    ("POST", "/keys", {"name": "shop"}, 201),
    ("DELETE", "/keys/0123456789abcdef", None, 404),
    ("POST", "/keys/0123456789abcdef:rotate", None, 404),
    ("GET", "/connections", None, 200),
    ("DELETE", f"/connections/{NOBODYS_ID}", None, 404),
    ("POST", "/users/bob:disconnect", None, 204),
    ("GET", "/users/bob", None, 404),
    ("DELETE", "/users/bob", None, 202),
    ("GET", "/users/bob/erasure", None, 404),
    ("GET", "/messages", None, 200),
    ("GET", "/dead-letters", None, 200),
    ("POST", "/dead-letters:replay", {}, 202),
    ("POST", f"/dead-letters/{NOBODYS_ID}:replay", None, 404),
    ("GET", f"/replays/{NOBODYS_ID}", None, 404),
    ("DELETE", "/dead-letters", None, 400),
    ("DELETE", f"/dead-letters/{NOBODYS_ID}", None, 404),
    ("GET", "/stats", None, 200),
    ("GET", "/audit", None, 200),
]
"""Each call with what an administrator is answered on an empty installation."""


@pytest.fixture
async def admin(store: SqlStore, as_bearer: Caller) -> httpx2.AsyncClient:
    """A caller whose key has the scope `admin`."""
    issued = await issue_key("ops", scopes=[Scope.ADMIN], store=store, clock=SystemClock())
    return as_bearer(issued.text)


@pytest.fixture
async def shop(store: SqlStore, as_bearer: Caller) -> httpx2.AsyncClient:
    """A backend that sends."""
    issued = await issue_key("shop", store=store, clock=SystemClock())
    return as_bearer(issued.text)


@pytest.fixture
async def others(
    api: ApiDependencies, as_user: Caller, shop: httpx2.AsyncClient
) -> AsyncIterator[list[tuple[httpx2.AsyncClient, int, str]]]:
    """All who are no administrators, with what each is answered."""
    transport = httpx2.ASGITransport(app=build_app(api))
    async with httpx2.AsyncClient(transport=transport, base_url="http://aldis.test") as nobody:
        yield [(as_user("alice"), 403, "forbidden"), (shop, 403, "forbidden"), (nobody, 401, "unauthorized")]


async def audit(admin: httpx2.AsyncClient, **query: str) -> list[tuple[str, str, str]]:
    """The log: (actor, action, target), newest first."""
    answer = (await admin.get(f"{ADMIN}/audit", params=query)).json()
    return [(entry["actor"], entry["action"], entry["target"]) for entry in answer["items"]]


def routes(api: ApiDependencies) -> dict[tuple[str, str], APIRoute]:
    """Every route for administrators, by method and path."""
    found = (route for router in build_app(api).routes for route in flat(router))
    return {(m, r.path): r for r in found if r.path.startswith(ADMIN) for m in r.methods or ()}


def flat(route: object) -> list[APIRoute]:
    """A route, or those of a router that was put in whole."""
    inner = getattr(route, "routes", None) or getattr(getattr(route, "original_router", None), "routes", [])
    return [route] if isinstance(route, APIRoute) else [each for one in inner for each in flat(one)]


@pytest.mark.parametrize(("method", "path", "body", "status"), CALLS)
async def test_administrators_may_and_nobody_else(
    method: str,
    path: str,
    body: Any,
    status: int,
    admin: httpx2.AsyncClient,
    others: list[tuple[httpx2.AsyncClient, int, str]],
) -> None:
    """A user's token, a key that only sends and no credential are refused, before anything is looked at."""
    for caller, refusal, code in others:
        refused = await caller.request(method, f"{ADMIN}{path}", json=body)
        assert (refused.status_code, refused.json()["code"]) == (refusal, code)

    allowed = await admin.request(method, f"{ADMIN}{path}", json=body)

    assert allowed.status_code == status


def test_the_table_has_every_call(api: ApiDependencies) -> None:
    """A new call under /v1/admin is refused to others in the test above, or this one fails."""
    asked = {(method, f"{ADMIN}{path}") for method, path, _, _ in CALLS}

    uncovered = {
        key
        for key, route in routes(api).items()
        if not any(key[0] == m and route.path_regex.match(p) for m, p in asked)
    }

    assert uncovered == set()


def test_every_change_has_its_audit_action(api: ApiDependencies) -> None:
    """A route that changes something says which entry of the log tells of it."""
    changing = {key: route for key, route in routes(api).items() if key[0] != "GET"}
    told = {key: (route.openapi_extra or {}).get(AUDITED) for key, route in changing.items()}

    assert len(told) >= len([call for call in CALLS if call[0] != "GET"])
    assert [key for key, action in told.items() if action not in set(Action)] == []


async def test_a_channel_is_made_changed_and_deleted(admin: httpx2.AsyncClient) -> None:
    """201, then 200; the answer is all that holds; a deleted one is not there; each step is in the log."""
    made = await admin.put(f"{ADMIN}/channels/news", json={**NEWS, "push": {"enabled": True}})
    again = await admin.put(f"{ADMIN}/channels/news", json=NEWS)
    changed = await admin.put(f"{ADMIN}/channels/news", json={**NEWS, "displayName": "The news"})
    shown = await admin.get(f"{ADMIN}/channels/news")
    deleted = await admin.delete(f"{ADMIN}/channels/news")
    gone = await admin.get(f"{ADMIN}/channels/news")

    assert [made.status_code, again.status_code, changed.status_code] == [201, 200, 200]
    assert made.json()["ignored"] == ["push"]
    assert shown.json() == changed.json() | {"ignored": []}
    assert shown.json()["spec"]["delivery"]["backoff"] == {"initial": "5s", "factor": 2.0, "max": "10m"}
    assert shown.headers["etag"] == f'"{shown.json()["version"]}"'
    assert (deleted.status_code, gone.status_code) == (204, 404)
    assert await audit(admin, target="news") == [
        ("backend:ops", "channel.delete", "news"),
        ("backend:ops", "channel.apply", "news"),
        ("backend:ops", "channel.apply", "news"),
    ]


async def test_if_match_guards_a_channel(admin: httpx2.AsyncClient) -> None:
    """The version that was seen, any version, or 412 and nothing has changed."""
    made = await admin.put(f"{ADMIN}/channels/news", json=NEWS)
    seen = {"if-match": made.headers["etag"]}
    changed = await admin.put(f"{ADMIN}/channels/news", json={"type": "Notification"}, headers=seen)
    late = await admin.put(f"{ADMIN}/channels/news", json=NEWS, headers=seen)
    late_delete = await admin.delete(f"{ADMIN}/channels/news", headers=seen)
    absent = await admin.put(f"{ADMIN}/channels/other", json=NEWS, headers={"if-match": "*"})
    wrong = await admin.put(f"{ADMIN}/channels/news", json=NEWS, headers={"if-match": "W/abc"})

    assert changed.status_code == 200
    assert {late.status_code, late_delete.status_code, absent.status_code} == {412}
    assert late.json()["code"] == "precondition_failed"
    assert (wrong.status_code, wrong.json()["field"]) == (400, "If-Match")
    assert (await admin.get(f"{ADMIN}/channels/news")).headers["etag"] == changed.headers["etag"]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"type": "Notification", "colour": "red"}, 400, "colour"),
        ({"type": "Chat", "delivery": {"timeToLive": "1y"}}, 400, "delivery.timeToLive"),
        ({}, 400, "type"),
        ([], 400, None),
    ],
)
async def test_a_wrong_channel_is_refused_with_its_path(
    admin: httpx2.AsyncClient, body: Any, status: int, field: str | None
) -> None:
    """The same paths as on the command line."""
    refused = await admin.put(f"{ADMIN}/channels/news", json=body)

    assert (refused.status_code, refused.json()["field"]) == (status, field)


async def test_the_chat_channel_stays(admin: httpx2.AsyncClient) -> None:
    """It is listed without having been declared, and cannot be deleted."""
    listed = (await admin.get(f"{ADMIN}/channels")).json()["items"]
    refused = await admin.delete(f"{ADMIN}/channels/chat")

    assert [channel["name"] for channel in listed] == ["chat"]
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")


async def test_a_deleted_channel_takes_no_sends_and_keeps_what_was_sent(
    admin: httpx2.AsyncClient, shop: httpx2.AsyncClient, as_user: Caller
) -> None:
    """Sends are refused from now on; the conversation can still be read; declaring it again opens it."""
    send = {"to": {"user": "bob"}, "channel": "news", "content": {"type": "text", "text": "hi"}}
    await admin.put(f"{ADMIN}/channels/news", json=NEWS)
    sent = (await shop.post("/v1/messages", json=send)).json()
    await admin.delete(f"{ADMIN}/channels/news")

    refused = await shop.post("/v1/messages", json=send)
    history = await as_user("bob").get(f"/v1/conversations/{sent['conversation_id']}/messages")
    await admin.put(f"{ADMIN}/channels/news", json=NEWS)
    again = await shop.post("/v1/messages", json=send)

    assert (refused.status_code, refused.json()["code"]) == (404, "unknown_channel")
    assert [message["content"]["text"] for message in history.json()["items"]] == ["hi"]
    assert (again.status_code, again.json()["seq"]) == (201, 2)


async def test_nobody_goes_on_in_a_deleted_chat_channel(admin: httpx2.AsyncClient, as_user: Caller) -> None:
    """Also not into a conversation that is there already, named by its id."""
    words = {"content": {"type": "text", "text": "hi"}}
    await admin.put(f"{ADMIN}/channels/support", json={"type": "Chat"})
    begun = await as_user("ann").post("/v1/messages", json={"to": {"user": "bob"}, "channel": "support", **words})
    conversation = begun.json()["conversation_id"]
    await admin.delete(f"{ADMIN}/channels/support")

    refused = await as_user("bob").post("/v1/messages", json={"to": {"conversation": conversation}, **words})
    await admin.put(f"{ADMIN}/channels/support", json={"type": "Chat"})
    again = await as_user("bob").post("/v1/messages", json={"to": {"conversation": conversation}, **words})

    assert (refused.status_code, refused.json()["field"]) == (404, "to.conversation")
    assert again.status_code == 201


async def test_a_key_is_shown_once_used_and_revoked(admin: httpx2.AsyncClient, as_bearer: Caller) -> None:
    """Its text is in the answer that makes it and nowhere else; revoked, it is still listed."""
    made = await admin.post(f"{ADMIN}/keys", json={"name": "bot", "scopes": ["send_as"], "channels": ["chat"]})
    key = made.json()
    body = {"from": {"user": "alice"}, "to": {"user": "bob"}, "content": {"type": "text", "text": "hi"}}
    sent = await as_bearer(key["key"]).post("/v1/messages", json=body)
    revoked = await admin.delete(f"{ADMIN}/keys/{key['id']}")
    listed = {item["id"]: item for item in (await admin.get(f"{ADMIN}/keys")).json()["items"]}

    assert (made.status_code, sent.status_code, revoked.status_code) == (201, 201, 204)
    assert listed[key["id"]]["revoked_at"] is not None
    assert key["key"] not in str(listed)
    assert {action for _, action, _ in await audit(admin, target=key["id"])} == {"key.create", "key.revoke"}
    assert key["key"].rpartition("_")[2] not in str((await admin.get(f"{ADMIN}/audit")).json())


async def test_a_key_is_rotated(admin: httpx2.AsyncClient, as_bearer: Caller) -> None:
    """The new one has the same rights; the earlier one works until its end, which may be now."""
    old = (await admin.post(f"{ADMIN}/keys", json={"name": "bot", "scopes": ["send_as"], "expires_in": 600})).json()
    body = {"from": {"user": "alice"}, "to": {"user": "bob"}, "content": {"type": "text", "text": "hi"}}

    rotated = await admin.post(f"{ADMIN}/keys/{old['id']}:rotate", json={"overlap": 0})
    new = rotated.json()
    sent = await as_bearer(new["key"]).post("/v1/messages", json=body)
    refused = await as_bearer(old["key"]).post("/v1/messages", json=body)

    assert (rotated.status_code, new["scopes"], new["name"]) == (201, old["scopes"], "bot")
    assert [key["id"] for key in new["ending"]] == [old["id"]]
    assert (sent.status_code, refused.status_code) == (201, 401)
    assert await audit(admin, target=new["id"]) == [("backend:ops", "key.rotate", new["id"])]


async def test_a_user_is_described_without_his_words(admin: httpx2.AsyncClient, as_user: Caller) -> None:
    """How much there is of him; who was never seen is not found."""
    await as_user("alice").post(
        "/v1/messages", json={"to": {"user": "bob"}, "content": {"type": "text", "text": "words"}}
    )

    bob = (await admin.get(f"{ADMIN}/users/bob")).json()

    assert (bob["conversations"], bob["unread"], bob["head"]["s"], bob["devices"]) == (1, 1, 1, [])
    assert "words" not in str(bob)
    assert (await admin.get(f"{ADMIN}/users/nobody")).status_code == 404


async def test_an_erasure_is_asked_for_and_told(admin: httpx2.AsyncClient) -> None:
    """202 at once; the work is a worker's, and its progress can be asked for."""
    asked = await admin.delete(f"{ADMIN}/users/bob")
    progress = await admin.get(f"{ADMIN}/users/bob/erasure")

    assert asked.status_code == 202
    assert (progress.json()["user"], progress.json()["state"], progress.json()["purged"]) == ("bob", "messages", 0)
    assert await audit(admin, action="user.erase") == [("backend:ops", "user.erase", "bob")]


async def test_the_log_is_read_page_by_page(admin: httpx2.AsyncClient) -> None:
    """Every entry once, newest first, whatever the size of a page and whichever filter."""
    for number in range(7):
        await admin.post(f"{ADMIN}/users/u{number}:disconnect")

    for query in ({}, {"actor": "backend:ops"}, {"actor": "backend:ops", "action": "user.disconnect"}):
        whole = await everything(admin, f"{ADMIN}/audit", {**query, "limit": "200"})
        paged = await everything(admin, f"{ADMIN}/audit", {**query, "limit": "2"})
        assert paged == whole
        assert [entry["target"] for entry in whole if entry["action"] == "user.disconnect"] == [
            f"u{number}" for number in reversed(range(7))
        ]


async def test_the_numbers_are_told(admin: httpx2.AsyncClient, as_user: Caller) -> None:
    """Counts of what there is, and of what this process has done."""
    await as_user("alice").post("/v1/messages", json={"to": {"user": "bob"}, "content": {"type": "text", "text": "x"}})

    stats = (await admin.get(f"{ADMIN}/stats")).json()

    assert stats["messages_accepted"] == 1
    assert stats["counts"]["outbox_rows"] == {"value": 1, "is_least": False}
    assert stats["database_bytes"] > 0
    assert stats["schema_version"] == known_revisions()[0]


async def everything(client: httpx2.AsyncClient, path: str, query: dict[str, str]) -> list[dict[str, Any]]:
    """All items of a list, page by page."""
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    for _ in range(1_000):
        page = (await client.get(path, params={**query, **({"cursor": cursor} if cursor else {})})).json()
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            return items
    raise AssertionError("the list has no end")
