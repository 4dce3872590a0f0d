"""Every call of the description, by everybody who may and may not, thousands of times, on a real server."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from integration.api.every_call import Caller, Findings, Known, edge_cases, operations, random_cases
from served import Server, served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SEED = int(os.environ.get("ALDIS_TEST_SEED", "20261124"))
RANDOM_CASES = 12  # of each operation; to these come those at the limits
LEAST_CALLS = 10_000
REACHED = 10  # all operations but one in so many did what they were asked: one may need what is not there
GHOSTS = [f"ghost-{number}" for number in range(20)]
PATIENCE_SECONDS, POLL_SECONDS = 30, 0.2
CHANNELS: dict[str, Any] = {
    "orders": {"type": "Notification"},
    "news": {"type": "Broadcast"},
    "spare": {"type": "Broadcast"},
}


async def test_every_call_answers_as_it_is_described(tmp_path: Path) -> None:
    """No failure of ours, no status, header, field or code that is not described; right is taken and wrong is not."""
    async with served(tmp_path, open_throttle=True) as server:
        admin, shop = await server.key("root", "--admin"), await server.key("shop", "--channel", "orders")
        known = await asyncio.to_thread(make_world, server, admin, shop)
        findings = await asyncio.to_thread(call_all, server, {"an admin": admin, "a backend": shop}, known)

    assert findings.wrong == {}, findings.told()
    assert findings.calls >= LEAST_CALLS
    assert len(findings.never_accepted) <= len(findings.known) // REACHED


def make_world(server: Server, admin: str, shop: str) -> Known:
    """Channels, a conversation, messages and keys; what they are called."""

    def ask(method: str, path: str, credential: str, body: Any = None) -> Any:
        response = client.request(method, path, json=body, headers={"authorization": f"Bearer {credential}"})
        response.raise_for_status()
        return response.json() if response.content else None

    alice = server.token("alice")
    words = {"type": "text", "text": "hi"}
    with httpx2.Client(base_url=server.url, trust_env=False) as client:
        for name, spec in CHANNELS.items():
            ask("PUT", f"/v1/admin/channels/{name}", admin, spec)
        for path in ("/v1/subscriptions/news", "/v1/blocks/eve"):
            ask("PUT", path, alice)
        ask("GET", "/v1/sync?device=phone&wait=0", alice)
        chat = ask("POST", "/v1/messages", alice, {"to": {"user": "bob"}, "content": words})
        note = ask("POST", "/v1/messages", shop, {"to": {"user": "alice"}, "channel": "orders", "content": words})
        cast = ask("POST", "/v1/messages", admin, {"to": {"channel": "news"}, "content": words})
        spare = [ask("POST", "/v1/admin/keys", admin, {"name": f"spare-{n}"})["id"] for n in range(20)]
        ask("DELETE", "/v1/admin/users/frank", admin)
        late = {"to": {"users": GHOSTS}, "channel": "orders", "content": words, "expires_in": 1}
        ask("POST", "/v1/messages", shop, late)  # nobody is there in time
        later = [ask("POST", "/v1/messages", shop, {**late, "send_at": next_year()}) for _ in range(len(GHOSTS))]
        letters = wait_for_letters(lambda: ask("GET", "/v1/admin/dead-letters?limit=200", admin)["items"])
        replay = ask("POST", "/v1/admin/dead-letters:replay", admin, {"channel": "news"})
    values = {
        "message_id": [sent["message_id"] for sent in (chat, note, cast)],
        "conversation_id": [chat["conversation_id"], note["conversation_id"]],
        "user": ["eve", "mallory"],
        "admin_get_user.user": ["alice", "bob"],
        "admin_get_erasure.user": ["frank"],
        "channel": ["news"],
        "name": ["orders", "news"],
        "admin_put_channel.name": ["spare"],
        "admin_delete_channel.name": ["spare"],
        "key_id": spare,
        "scheduled_id": [scheduled["scheduled_id"] for scheduled in later],
        "letter_id": [letter["id"] for letter in letters],
        "replay_id": [replay["id"]],
    }
    return Known(values, SEED)


def next_year() -> str:
    """A time that scheduled sends wait for."""
    return (datetime.now(UTC) + timedelta(days=300)).isoformat()


def wait_for_letters(ask: Callable[[], list[Any]]) -> list[Any]:
    """The dead letters, when there is one for each who was not there."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(found := ask()) < len(GHOSTS):
        assert time.monotonic() < deadline, "messages that expire fail"
        time.sleep(POLL_SECONDS)
    return found


def call_all(server: Server, keys: dict[str, str], known: Known) -> Findings:
    """Call every operation with the same cases in everybody's name; tell how often."""
    findings, begun = Findings(), time.monotonic()
    credentials = {"a user": server.token("alice"), **keys, "nobody": None}
    callers = [Caller(name, credential, server.url, findings) for name, credential in credentials.items()]
    with httpx2.Client(base_url=server.url, trust_env=False) as client:
        document = client.get("/openapi.json").json()
    for operation_id, operation in operations(document):
        findings.known.add(operation_id)
        for case in cases_of(operation):
            known.use_in(case, operation_id)
            for caller in callers:
                caller.call(case, operation_id)
    seconds = time.monotonic() - begun
    statuses = ", ".join(f"{status}: {count:,}" for status, count in sorted(findings.statuses.items()))
    print(f"{findings.calls:,} calls of {len(findings.known)} operations in {seconds:.0f} s, seed {SEED} ({statuses})")
    print(f"never accepted: {', '.join(sorted(findings.never_accepted)) or 'none'}")
    return findings


def cases_of(operation: Any) -> Iterator[Any]:
    """Those at the limits, and some by chance."""
    yield from edge_cases(operation)
    yield from random_cases(operation, SEED, RANDOM_CASES)
