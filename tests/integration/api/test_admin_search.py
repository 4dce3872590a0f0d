"""Searching messages as an administrator: bounded, complete over its pages, and in the audit log."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from aldis.adapters.memory.clock import SystemClock
from aldis.adapters.sql.store import SqlStore
from aldis.domain.callers import Scope
from aldis.domain.content import text_content
from aldis.domain.ids import MessageId, UserId, conversation_id, new_id
from aldis.domain.messages import Kind, Message, Sender
from aldis.domain.streams import Priority
from aldis.ports.administration import MessageFilter, SearchPlace
from aldis.ports.store import Conversation, Growth
from aldis.services.issue_key import issue_key
from integration.api.conftest import Caller
from integration.api.test_admin import ADMIN, audit, everything

USERS = [UserId(name) for name in ("alice", "bob", "carol")]
START = 1_900_000_000_000


@pytest.fixture
async def admin(store: SqlStore, as_bearer: Caller) -> httpx2.AsyncClient:
    """A caller whose key has the scope `admin`."""
    issued = await issue_key("ops", scopes=[Scope.ADMIN], store=store, clock=SystemClock())
    return as_bearer(issued.text)


@pytest.fixture
async def messages(store: SqlStore) -> list[Message]:
    """Sixty messages among three, a second apart; every fifth speaks of Apples."""
    made: list[Message] = []
    seqs: dict[str, int] = {}
    for number in range(60):
        sender, to = USERS[number % 3], USERS[(number + 1 + number % 2) % 3]
        target = conversation_id("chat", "chat", (sender, to))
        seqs[target] = seqs.get(target, 0) + 1
        words = f"Apples {number}" if number % 5 == 0 else f"pears {number}"
        message = Message(
            id=MessageId(new_id(START + number * 1000)),
            conversation_id=target,
            seq=seqs[target],
            kind=Kind.CHAT,
            channel="chat",
            sender=Sender(user=sender),
            content=text_content(words),
            priority=Priority.NORMAL,
        )
        made.append(message)
        async with store.begin() as transaction:
            conversation = Conversation(target, Kind.CHAT, "chat", tuple(sorted((sender, to))))
            await transaction.extend_conversations([Growth(conversation, 1, message.id)])
            await transaction.insert_messages([message])
    return made


def is_with(user: str) -> Callable[[Message], bool]:
    return lambda m: any(m.conversation_id == conversation_id("chat", "chat", (user, other)) for other in USERS)


FILTERS: list[tuple[dict[str, str], Callable[[Message], bool]]] = [
    ({}, lambda m: True),
    ({"channel": "chat"}, lambda m: True),
    ({"channel": "news"}, lambda m: False),
    ({"sender": "alice"}, lambda m: m.sender.user == "alice"),
    ({"recipient": "bob"}, lambda m: m.sender.user != "bob" and is_with("bob")(m)),
    ({"sender": "alice", "recipient": "bob"}, lambda m: m.sender.user == "alice" and is_with("bob")(m)),
    (
        {"conversation": conversation_id("chat", "chat", ("alice", "bob"))},
        lambda m: m.conversation_id == conversation_id("chat", "chat", ("alice", "bob")),
    ),
    ({"text": "apples"}, lambda m: b"Apples" in (m.content or b"")),
    ({"text": '"type"'}, lambda m: False),
    ({"sender": "bob", "text": "PEARS"}, lambda m: m.sender.user == "bob" and b"pears" in (m.content or b"")),
    (
        {"from": "2030-03-17T17:46:50Z", "until": "2030-03-17T17:47:00+00:00"},
        lambda m: START + 10_000 <= m.created_at < START + 20_000,
    ),
]


@pytest.mark.parametrize(
    ("query", "is_wanted"), FILTERS, ids=lambda value: str(value) if isinstance(value, dict) else ""
)
@pytest.mark.parametrize("limit", [1, 7, 200])
async def test_every_message_that_is_wanted_is_found_once(
    admin: httpx2.AsyncClient,
    messages: list[Message],
    query: dict[str, str],
    is_wanted: Callable[[Message], bool],
    limit: int,
) -> None:
    """Over all pages, whatever their size: those that are wanted, each once, newest first in each conversation."""
    found = await everything(admin, f"{ADMIN}/messages", {**query, "limit": str(limit)})

    wanted = [message.id for message in messages if is_wanted(message)]
    assert sorted(item["id"] for item in found) == wanted
    for conversation in {item["conversation_id"] for item in found}:
        seqs = [item["seq"] for item in found if item["conversation_id"] == conversation]
        assert seqs == sorted(seqs, reverse=True)


@pytest.mark.parametrize("wanted", [MessageFilter(text="Apples"), MessageFilter(sender=USERS[0], text="Apples")])
async def test_a_search_looks_at_no_more_than_its_window(
    store: SqlStore, messages: list[Message], wanted: MessageFilter
) -> None:
    """A page may be empty and have a next one; following them finds all."""
    found: list[MessageId] = []
    place: SearchPlace | None = SearchPlace()
    pages = 0
    while place is not None:
        page = await store.search_messages(wanted, place, limit=50, window=4, now=START)
        found += [message.id for message in page.messages]
        place, pages = page.next, pages + 1
        assert pages < 100, "the search has no end"

    is_wanted = [m for m in messages if b"Apples" in (m.content or b"")]
    assert sorted(found) == [m.id for m in is_wanted if wanted.sender in {None, m.sender.user}]
    assert pages >= 20 // 4


async def test_contents_are_told_only_when_asked_for(admin: httpx2.AsyncClient, messages: list[Message]) -> None:
    """Without it there is no such field."""
    plain = (await admin.get(f"{ADMIN}/messages")).json()["items"]
    whole = (await admin.get(f"{ADMIN}/messages", params={"include": "content"})).json()["items"]

    assert all("content" not in item for item in plain)
    assert whole[0]["content"] == {"type": "text", "text": "pears 59"}


async def test_each_search_is_in_the_log_without_its_words(admin: httpx2.AsyncClient, messages: list[Message]) -> None:
    """Who looked at whose messages, what for and how many; never the words, for they may be somebody's."""
    await admin.get(f"{ADMIN}/messages", params={"sender": "alice", "text": "Apples", "include": "content"})

    entry = (await admin.get(f"{ADMIN}/audit", params={"action": "message.search"})).json()["items"][0]
    assert entry["details"] == {"sender": "alice", "text": True, "content": True, "found": 4}
    assert await audit(admin, target="alice") == [("backend:ops", "message.search", "alice")]


@pytest.mark.parametrize(
    "query",
    [{"from": "yesterday"}, {"from": "2030-01-01T00:00:00"}, {"limit": "201"}, {"cursor": "x"}, {"colour": "red"}],
)
async def test_a_wrong_search_is_refused_with_its_field(admin: httpx2.AsyncClient, query: dict[str, str]) -> None:
    """Each names the parameter."""
    refused = await admin.get(f"{ADMIN}/messages", params=query)
    body: dict[str, Any] = refused.json()

    assert (refused.status_code, body["field"]) == (400, next(iter(query)))
