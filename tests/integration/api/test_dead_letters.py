"""Dead letters as administrators call for them, and what senders and recipients are told of them by REST."""

from typing import Any

import httpx2
import pytest

from aldis.adapters.memory.clock import SystemClock
from aldis.adapters.sql.store import SqlStore
from aldis.api import admin_schemas as shapes
from aldis.api import schemas
from aldis.api.dependencies import ApiDependencies
from aldis.domain.callers import Scope
from aldis.domain.deliveries import Outcome, Reason
from aldis.domain.ids import MessageId, UserId, new_id
from aldis.domain.streams import Lane
from aldis.ports.dead_letters import DeadLetter
from aldis.ports.deliveries import Attempt
from aldis.services.issue_key import issue_key
from aldis.services.replay_dead_letters import replay_all
from integration.api.conftest import Caller
from integration.api.test_admin import ADMIN, everything
from integration.api.test_admin import audit as whole_log

LETTERS = f"{ADMIN}/dead-letters"
USERS = [UserId(name) for name in ("bob", "carol", "dave")]
LANE: Lane = "s"


@pytest.fixture
async def admin(store: SqlStore, as_bearer: Caller) -> httpx2.AsyncClient:
    """A caller whose key has the scope `admin`."""
    issued = await issue_key("ops", scopes=[Scope.ADMIN], store=store, clock=SystemClock())
    return as_bearer(issued.text)


@pytest.fixture
async def letters(store: SqlStore, as_user: Caller) -> list[DeadLetter]:
    """What Alice wrote to three, four messages each, and none of them got in time; oldest first."""
    alice, made = as_user("alice"), []
    for number in range(12):
        to = USERS[number % 3]
        body = {"to": {"user": to}, "content": {"type": "text", "text": f"number {number}"}}
        sent = (await alice.post("/v1/messages", json=body)).json()
        reason = Reason.EXPIRED if number % 2 else Reason.ATTEMPTS_EXHAUSTED
        at = SystemClock().now_ms() - 1_000 + number
        made.append(
            DeadLetter(new_id(at), MessageId(sent["message_id"]), to, "chat", reason, LANE, number // 3 + 1, 8, at)
        )
    async with store.begin() as transaction:
        await transaction.put_letters(made)
    return made


async def audit(admin: httpx2.AsyncClient) -> list[tuple[str, str, str]]:
    """What the log says of letters."""
    return [entry for entry in await whole_log(admin) if entry[1].startswith("dead_letter.")]


async def work(api: ApiDependencies) -> None:
    """What a worker does with replays."""
    await replay_all(store=api.store, ringer=api.ringer, clock=api.clock, policies=dict)


async def test_letters_are_listed_page_by_page(admin: httpx2.AsyncClient, letters: list[DeadLetter]) -> None:
    """Every letter once, newest first, whatever the filter and the size of a page."""
    queries: list[dict[str, str]] = [{}, {"recipient": "bob"}, {"reason": "expired"}, {"channel": "chat"}]
    for query in [*queries, {"recipient": "bob", "reason": "expired", "channel": "chat"}]:
        whole = await everything(admin, LETTERS, {**query, "limit": "200"})
        paged = await everything(admin, LETTERS, {**query, "limit": "2"})

        wanted = [
            letter
            for letter in reversed(letters)
            if query.get("recipient", letter.recipient) == letter.recipient
            and query.get("reason", letter.reason) == letter.reason
        ]
        assert [item["id"] for item in whole] == [letter.id for letter in wanted]
        assert paged == whole
        for item in whole:
            assert shapes.DeadLetterAnswer.model_validate(item).model_dump() == item


@pytest.mark.parametrize(
    ("method", "call", "field"),
    [
        ("GET", "?reason=lost", "reason"),
        ("GET", "?recipient=a/b", "recipient"),
        ("GET", "?cursor=x", "cursor"),
        ("GET", "?colour=red", "colour"),
        ("DELETE", "", "all"),
        ("DELETE", "?all=maybe", "all"),
        ("DELETE", "?colour=red", "colour"),
        ("POST", ":replay", "colour"),
        ("DELETE", "/x", "letter_id"),
        ("POST", "/x:replay", "letter_id"),
    ],
)
async def test_a_wrong_call_is_refused_with_its_field(
    admin: httpx2.AsyncClient, method: str, call: str, field: str
) -> None:
    """Each names what is wrong, and changes nothing."""
    body = {"colour": "red"} if field == "colour" and method == "POST" else None
    refused = await admin.request(method, LETTERS + call, json=body)

    assert (refused.status_code, refused.json()["field"]) == (400, field)
    assert await audit(admin) == []


async def test_one_letter_is_replayed_at_once(
    admin: httpx2.AsyncClient, letters: list[DeadLetter], as_user: Caller
) -> None:
    """The answer is a replay that is done; a second time there is no such letter."""
    answer = await admin.post(f"{LETTERS}/{letters[0].id}:replay")

    replay = answer.json()
    assert (answer.status_code, replay["state"], replay["replayed"], replay["skipped"]) == (202, "done", 1, 0)
    assert (await admin.get(f"{ADMIN}/replays/{replay['id']}")).json() == replay
    assert (await admin.post(f"{LETTERS}/{letters[0].id}:replay")).status_code == 404
    assert len(await everything(admin, LETTERS, {})) == 11
    assert await audit(admin) == [("backend:ops", "dead_letter.replay", letters[0].id)]
    told = (await as_user("alice").get(f"/v1/messages/{letters[0].message_id}")).json()
    assert told["recipients"]["items"][0]["status"] == "pending"


async def test_many_letters_are_replayed_by_the_workers(
    admin: httpx2.AsyncClient, api: ApiDependencies, letters: list[DeadLetter]
) -> None:
    """The answer says how many fit and where to look; in the end each was replayed or skipped."""
    asked = await admin.post(f"{LETTERS}:replay", json={"recipient": "bob"})
    before = (await admin.get(f"{ADMIN}/replays/{asked.json()['id']}")).json()

    await work(api)

    after = (await admin.get(f"{ADMIN}/replays/{asked.json()['id']}")).json()
    assert asked.status_code == 202
    assert shapes.ReplayAnswer.model_validate(before).model_dump() == before == asked.json()
    assert [before[name] for name in ("state", "matched", "replayed", "recipient")] == ["running", 4, 0, "bob"]
    assert [after[name] for name in ("state", "matched", "replayed", "skipped")] == ["done", 4, 4, 0]
    assert {item["recipient"] for item in await everything(admin, LETTERS, {})} == {"carol", "dave"}
    assert await audit(admin) == [("backend:ops", "dead_letter.replay", asked.json()["id"])]


async def test_without_a_filter_all_are_replayed(
    admin: httpx2.AsyncClient, api: ApiDependencies, letters: list[DeadLetter]
) -> None:
    """With an empty body, and with none."""
    first = (await admin.post(f"{LETTERS}:replay", json={})).json()
    second = (await admin.post(f"{LETTERS}:replay")).json()

    await work(api)

    assert (first["matched"], second["matched"]) == (12, 12)
    done = [(await admin.get(f"{ADMIN}/replays/{each['id']}")).json() for each in (first, second)]
    assert [(each["state"], each["replayed"]) for each in done] == [("done", 12), ("done", 0)]


async def test_letters_are_purged(admin: httpx2.AsyncClient, letters: list[DeadLetter], as_user: Caller) -> None:
    """One, those that fit, or all when that is said; their messages have failed as before."""
    one = await admin.delete(f"{LETTERS}/{letters[0].id}")
    some = await admin.delete(LETTERS, params={"reason": "expired"})
    rest = await admin.delete(LETTERS, params={"all": "true"})

    assert (one.status_code, one.content) == (204, b"")
    assert [some.json(), rest.json()] == [{"purged": 6, "more": False}, {"purged": 5, "more": False}]
    assert (await admin.delete(f"{LETTERS}/{letters[0].id}")).status_code == 404
    assert await everything(admin, LETTERS, {}) == []
    assert [action for _, action, _ in await audit(admin)] == ["dead_letter.delete"] * 3
    told = (await as_user("alice").get(f"/v1/messages/{letters[1].message_id}")).json()
    assert told["recipients"]["items"][0]["status"] == "failed"
    assert (await admin.get(f"{ADMIN}/stats")).json()["counts"]["dead_letters_open"]["value"] == 0


async def test_a_failure_is_told_to_the_sender_and_the_recipient(
    store: SqlStore, as_user: Caller, letters: list[DeadLetter]
) -> None:
    """With its reason and its time in the status, and with each attempt in the timeline."""
    letter = letters[0]
    async with store.begin() as transaction:
        attempt = Attempt(letter.recipient, LANE, "chat", 0, 1, 1, None, Outcome.NO_CONNECTION, letter.failed_at - 9)
        await transaction.put_attempts([attempt])

    for who in ("alice", "bob"):
        status = (await as_user(who).get(f"/v1/messages/{letter.message_id}")).json()
        (recipient,) = schemas.MessageStatusAnswer.model_validate(status).recipients.items
        assert (recipient.status, recipient.reason) == ("failed", "attempts_exhausted")
        assert recipient.failed_at is not None
        timeline = (await as_user(who).get(f"/v1/messages/{letter.message_id}/timeline")).json()
        items = [schemas.MilestoneAnswer.model_validate(item).model_dump() for item in timeline["items"]]
        assert [strip(item) for item in items if item["type"] in {"attempt", "failed"}] == [
            {"type": "attempt", "user": "bob", "attempt": 1, "outcome": "no_connection"},
            {"type": "failed", "user": "bob", "reason": "attempts_exhausted"},
        ]


def strip(item: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if value is not None and key != "at"}
