"""The application as its callers see it, over the ASGI interface, with a store that knows one conversation."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import httpx2
import msgspec
import pytest

from aldis.adapters.memory.backplane import MemoryBackplane
from aldis.adapters.memory.clock import DrivenClock
from aldis.adapters.memory.limiter import MemoryLimiter
from aldis.adapters.memory.presence import MemoryPresence
from aldis.api import schemas
from aldis.api.app import build_app
from aldis.api.dependencies import ApiDependencies, Rates, RequestLimits
from aldis.domain.channels import DEFAULT_CHAT, Channel
from aldis.domain.errors import Rejected, Unavailable
from aldis.domain.ids import ConversationId, DeviceId, MessageId, UserId, conversation_id
from aldis.domain.messages import Kind, Message, Sender, SendMessage, Stored
from aldis.domain.receipts import ReadMark
from aldis.domain.status import Passage
from aldis.domain.streams import BroadcastSource, LaneHead, Priority, Source
from aldis.ports.broadcasts import Listener
from aldis.ports.deliveries import Attempt
from aldis.ports.http_streams import HttpStreams
from aldis.ports.limiter import Rate
from aldis.ports.store import Conversation, ConversationRow, Store
from aldis.services.audience import Subscriptions
from aldis.services.authenticate import Authenticator, TokenRules, sign_token
from aldis.services.bulk_sends import BulkSends
from aldis.services.revise_message import Reviser
from aldis.services.ring import Ringer
from aldis.services.schedule_commit import ScheduleCommitter
from aldis.telemetry.metrics import Metrics
from described import check_response

SECRET = "a-secret-of-at-least-thirty-two-bytes"
CLOCK = DrivenClock()
TALK = Conversation(
    conversation_id("chat", "chat", ["alice", "bob"]), Kind.CHAT, "chat", (UserId("alice"), UserId("bob"))
)
HELLO = Message(
    id=MessageId("01a3185c-5000-74ec-9654-2e063d8fc4e8"),
    conversation_id=ConversationId(TALK.id),
    seq=1,
    kind=Kind.CHAT,
    channel="chat",
    sender=Sender(user=UserId("alice")),
    content=b'{"type":"text","text":"hello"}',
    priority=Priority.NORMAL,
)
LIMITS = RequestLimits(content_bytes=100, recipients=3)
TO_BOB = {"to": {"user": "bob"}, "content": {"type": "text", "text": "hi"}}


class OneConversation:
    epoch = "epoch1"

    async def message(self, message_id: str) -> tuple[Message, Conversation] | None:
        return (HELLO, TALK) if message_id == HELLO.id else None

    async def passages(self, message: Message, users: Sequence[UserId]) -> dict[UserId, tuple[int, list[Passage]]]:
        return {}

    async def attempts(self, message: Message, users: Sequence[UserId]) -> dict[UserId, list[Attempt]]:
        return {}

    async def conversation(self, conversation: str) -> Conversation | None:
        return TALK if conversation == TALK.id else None

    async def listener(self, conversation: ConversationId, user: UserId) -> Listener | None:
        return Listener(conversation, user, 0, 0) if user in TALK.members else None

    async def history(self, conversation: str, **place: int | None) -> list[Message]:
        return [HELLO]

    async def heads(self, users: Sequence[UserId]) -> dict[tuple[UserId, Source], LaneHead]:
        return {(user, "s"): LaneHead(seq=3) for user in users}

    async def broadcast_positions(self) -> tuple[dict[BroadcastSource, LaneHead], int]:
        return {"be": LaneHead(), "bs": LaneHead()}, 0

    async def needs_joining(self, user: UserId) -> bool:
        return False

    async def conversations_of(self, *place: object, archived: bool | None = None) -> list[ConversationRow]:
        return [ConversationRow(TALK, ReadMark(head_seq=1, read_seq=0, own_total=0, own_read=0), HELLO)]

    async def device(self, user: UserId, device: str) -> str | None:
        return device if device == "phone" else None

    async def channel(self, name: str) -> Channel | None:
        return DEFAULT_CHAT if name == "chat" else None

    async def api_key(self, key_id: str) -> None:
        raise ValueError("a driver's words with a secret in them")


@dataclass
class Writes:
    """A committer and mover that answers what it is told to, and remembers what it was asked."""

    answers: list[Stored | Rejected | Unavailable] = field(default_factory=list)
    sent: list[SendMessage] = field(default_factory=list)
    acknowledged: list[tuple[UserId, DeviceId, dict[Source, int]]] = field(default_factory=list)

    async def send(self, commands: Sequence[SendMessage]) -> list[Stored | Rejected | Unavailable]:
        self.sent.extend(commands)
        stored = [Stored(each.message_id, each.conversation_id, 1) for each in commands]
        return self.answers or list[Stored | Rejected | Unavailable](stored)

    async def acknowledge(self, user: UserId, device: DeviceId, positions: dict[Source, int]) -> None:
        self.acknowledged.append((user, device, positions))

    async def mark_read(
        self, user: UserId, device: DeviceId | None, conversation_id: ConversationId, seq: int
    ) -> tuple[int, int]:
        return 0, 2


@dataclass
class State:
    started: bool = True
    draining: bool = False
    usable: bool = True

    def check(self) -> dict[str, float | None]:
        return {"database": 0.25, "backplane": None}


@pytest.fixture
def writes() -> Writes:
    return Writes()


@pytest.fixture
def state() -> State:
    return State()


NOBODY = Ringer(presence=MemoryPresence(), backplane=MemoryBackplane(metrics=Metrics()))


@pytest.fixture
def connections() -> list[tuple[str, str | None, str, int]]:
    return []


@pytest.fixture
def api(writes: Writes, state: State, connections: list[tuple[str, str | None, str, int]]) -> ApiDependencies:
    store = cast("Store", OneConversation())
    return ApiDependencies(
        store=store,
        committer=writes,
        bulk=BulkSends(writes),
        schedules=ScheduleCommitter(store=store, clock=CLOCK, metrics=Metrics()),
        moves=writes,
        reviser=Reviser(store=store, ringer=NOBODY, clock=CLOCK, metrics=Metrics(), channel=store.channel),
        subscriptions=Subscriptions(
            store=store,
            ringer=NOBODY,
            clock=CLOCK,
            channel=store.channel,
        ),
        streams=cast("HttpStreams", None),
        authenticator=Authenticator(store=store, clock=CLOCK, rules=TokenRules(secrets=(SECRET,))),
        channel=store.channel,
        limiter=MemoryLimiter(clock=CLOCK),
        rates=Rates(user=Rate(5, 3), key=Rate(1000, 2000)),
        presence=MemoryPresence(),
        ringer=NOBODY,
        clock=CLOCK,
        metrics=Metrics(),
        health=state,
        connections=lambda: connections,
        encoder=msgspec.json.Encoder(),
        limits=LIMITS,
    )


@pytest.fixture
async def client(api: ApiDependencies) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=build_app(api))
    token = sign_token("alice", SECRET, 60, CLOCK.now_ms() // 1000)
    headers = {"authorization": f"Bearer {token}"}
    hooks = {"response": [check_response]}
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://aldis.test", headers=headers, event_hooks=hooks
    ) as client:
        yield client


async def test_a_send_answers_where_the_message_is(client: httpx2.AsyncClient) -> None:
    """201, the message's place, and how many more may follow."""
    response = await client.post("/v1/messages", json=TO_BOB)

    assert response.status_code == 201
    answer = schemas.SentOne.model_validate(response.json())
    assert (answer.conversation_id, answer.seq, answer.duplicate) == (TALK.id, 1, False)
    assert response.headers["ratelimit-policy"] == '"user";q=3;w=1'
    assert response.headers["ratelimit"] == '"user";r=2;t=1'
    assert "idempotent-replayed" not in response.headers


async def test_a_replay_is_marked(client: httpx2.AsyncClient, writes: Writes) -> None:
    """With an Idempotency-Key, a repeated answer says that it is one."""
    writes.answers = [Stored(HELLO.id, TALK.id, 1, duplicate=True)]

    response = await client.post("/v1/messages", json=TO_BOB, headers={"Idempotency-Key": "k1"})

    assert response.headers["idempotent-replayed"] == "true"
    assert response.json()["duplicate"] is True


async def test_the_fingerprint_is_of_the_body_and_not_of_its_spelling(
    client: httpx2.AsyncClient, writes: Writes
) -> None:
    """Order and spacing of fields and nulls do not make another body; another text does."""
    bodies = [
        json.dumps(TO_BOB),
        json.dumps({"client_id": None, "content": {"text": "hi", "type": "text"}, "to": {"user": "bob"}}, indent=2),
        json.dumps({**TO_BOB, "content": {"type": "text", "text": "ho"}}),
    ]

    for body in bodies:
        headers = {"Idempotency-Key": "k1", "content-type": "application/json"}
        await client.post("/v1/messages", content=body, headers=headers)

    first, second, third = (command.fingerprint for command in writes.sent)
    assert first == second != third


async def test_a_send_that_was_not_committed_is_no_2xx(client: httpx2.AsyncClient, writes: Writes) -> None:
    """503 with when to come back; the caller may repeat it."""
    writes.answers = [Unavailable("the outcome is unknown", retry_after_ms=500)]

    response = await client.post("/v1/messages", json=TO_BOB)

    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert response.json()["retryable"] is True


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"to": {"users": ["a", "b", "c", "d"]}, "content": {"type": "text", "text": "hi"}}, "to.users"),
        ({"to": {"user": "bob"}, "content": {"type": "text", "text": "x" * 100}}, "content.text"),
        ({"to": {"user": "bob"}, "content": {"type": "json", "data": ["x" * 100]}}, "content.data"),
    ],
)
async def test_what_exceeds_a_limit_is_named(client: httpx2.AsyncClient, body: dict[str, Any], field: str) -> None:
    """Too many recipients or too much content is 413 with the field."""
    response = await client.post("/v1/messages", json=body)

    assert (response.status_code, response.json()["field"]) == (413, field)


async def test_too_many_sends_are_told_to_wait(client: httpx2.AsyncClient) -> None:
    """After the burst comes 429, with the wait and an empty quota."""
    responses = [await client.post("/v1/messages", json=TO_BOB) for _ in range(4)]

    assert [response.status_code for response in responses] == [201, 201, 201, 429]
    assert responses[3].json()["retry_after_ms"] == 200
    assert responses[3].headers["retry-after"] == "1"
    assert responses[3].headers["ratelimit"] == '"user";r=0;t=1'


async def test_an_empty_bucket_refuses_edits_before_their_body_is_looked_at(client: httpx2.AsyncClient) -> None:
    """Sends and edits share it; deletions go on."""
    for _ in range(3):
        await client.post("/v1/messages", json=TO_BOB)

    edit = await client.patch(f"/v1/messages/{HELLO.id}", content=b"no JSON")
    deletion = await client.delete("/v1/messages/01a3185c-5000-74ec-9654-2e063d8fc4e9")

    assert (edit.status_code, edit.headers["ratelimit"]) == (429, '"user";r=0;t=1')
    assert deletion.status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/messages"),
        ("PATCH", f"/v1/messages/{HELLO.id}"),
        ("DELETE", f"/v1/messages/{HELLO.id}"),
        ("GET", f"/v1/messages/{HELLO.id}"),
        ("GET", f"/v1/messages/{HELLO.id}/timeline"),
        ("GET", "/v1/conversations"),
        ("GET", f"/v1/conversations/{TALK.id}/messages"),
        ("POST", f"/v1/conversations/{TALK.id}/read"),
        ("POST", "/v1/ack?device=phone"),
        ("GET", "/v1/badge"),
    ],
)
async def test_every_call_asks_who_is_calling(client: httpx2.AsyncClient, method: str, path: str) -> None:
    """Without a credential nothing is told, not even whether the rest of the request is right."""
    response = await client.request(method, path, headers={"authorization": ""})

    assert response.status_code == 401
    assert response.json()["code"] == "unauthorized"


async def test_a_message_is_told_with_its_recipients(client: httpx2.AsyncClient) -> None:
    """The message as it is now, and how far it has come for each."""
    response = await client.get(f"/v1/messages/{HELLO.id}")

    answer = schemas.MessageStatusAnswer.model_validate(response.json())
    assert answer.content == schemas.Text(type="text", text="hello")
    assert [(each.user, each.status) for each in answer.recipients.items] == [("bob", "pending")]


async def test_a_timeline_is_a_list(client: httpx2.AsyncClient) -> None:
    """It begins with what happened first."""
    response = await client.get(f"/v1/messages/{HELLO.id}/timeline")

    answer = schemas.Timeline.model_validate(response.json())
    assert [each.type for each in answer.items] == ["accepted", "stored", "queued"]


async def test_my_conversations_come_with_the_streams_cursor(client: httpx2.AsyncClient) -> None:
    """The first page has what a client needs to go on live; a later page has not."""
    first = (await client.get("/v1/conversations")).json()
    later = (await client.get("/v1/conversations", params={"limit": 1, "cursor": "WyJhIiwiYiJd"})).json()

    answer = schemas.ConversationsAnswer.model_validate(first)
    assert answer.cursor == "epoch1.e0.s3.be0.bs0.r0"
    assert (answer.items[0].unread, answer.items[0].members) == (1, ["alice", "bob"])
    assert later["code"] == "bad_cursor"


async def test_history_is_a_list_of_messages(client: httpx2.AsyncClient) -> None:
    """In the same form as everywhere."""
    response = await client.get(f"/v1/conversations/{TALK.id}/messages", params={"before": 9})

    answer = schemas.HistoryAnswer.model_validate(response.json())
    assert [each.id for each in answer.items] == [HELLO.id]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/conversations?befor=1", "befor"),
        ("/v1/conversations?kind=mail", "kind"),
        (f"/v1/conversations/{TALK.id}/messages?limit=201", "limit"),
        (f"/v1/conversations/{TALK.id}/messages?before=1&after=2", None),
        (f"/v1/conversations/{TALK.id.upper()}/messages", "conversation_id"),
        ("/v1/messages/1", "message_id"),
    ],
)
async def test_a_wrong_question_names_its_parameter(client: httpx2.AsyncClient, path: str, field: str | None) -> None:
    """Parameters are checked like fields."""
    response = await client.get(path)

    assert (response.status_code, response.json()["field"]) == (400, field)


async def test_an_acknowledgement_moves_a_known_device(client: httpx2.AsyncClient, writes: Writes) -> None:
    """204, and the positions are handed on."""
    response = await client.post("/v1/ack", params={"device": "phone"}, json={"s": 3})

    assert (response.status_code, response.content) == (204, b"")
    assert writes.acknowledged == [("alice", "phone", {"s": 3})]


@pytest.mark.parametrize(
    ("query", "body", "code"),
    [
        ({"device": "phone"}, {"s": 4}, "bad_cursor"),
        ({"device": "phone"}, {"be": 1}, "bad_cursor"),
        ({"device": "tablet"}, {"s": 1}, "not_found"),
        ({}, {"s": 1}, "bad_request"),
        ({"device": "phone"}, {"x": 1}, "unknown_field"),
    ],
)
async def test_an_acknowledgement_that_cannot_be_moves_nothing(
    client: httpx2.AsyncClient, writes: Writes, query: dict[str, str], body: dict[str, int], code: str
) -> None:
    """Above the head, of an unknown device, of nobody's device or of an unknown source."""
    response = await client.post("/v1/ack", params=query, json=body)

    assert response.json()["code"] == code
    assert writes.acknowledged == []


async def test_reading_answers_what_is_left(client: httpx2.AsyncClient) -> None:
    """As on the socket."""
    response = await client.post(f"/v1/conversations/{TALK.id}/read", json={"seq": 1})

    assert response.json() == {"unread": 0, "badge": 2}


@pytest.mark.parametrize("body", [b"{", b"[1]", b"nul", b'"x"', b"", b"[" * 1500, b'{"a":\xff}'])
async def test_a_body_that_is_no_json_object_is_told_so(client: httpx2.AsyncClient, body: bytes) -> None:
    """400 `bad_json`, however strange it is."""
    response = await client.post("/v1/messages", content=body, headers={"content-type": "application/json"})

    assert (response.status_code, response.json()["code"]) == (400, "bad_json")


async def test_a_body_of_another_type_is_told_what_to_send(client: httpx2.AsyncClient) -> None:
    """What `curl -d` sends without a header is no JSON."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    response = await client.post("/v1/messages", content=json.dumps(TO_BOB), headers=headers)

    assert "Content-Type: application/json" in response.json()["detail"]


async def test_a_body_that_says_it_is_too_large_is_refused(client: httpx2.AsyncClient) -> None:
    """413 by what is declared."""
    response = await client.post("/v1/messages", content=b"x" * (LIMITS.body_bytes + 1))

    assert (response.status_code, response.json()["code"]) == (413, "too_large")
    assert response.headers["connection"] == "close"


async def test_a_body_that_grows_too_large_is_refused_while_it_streams(client: httpx2.AsyncClient) -> None:
    """Without a declared length, the first piece too many ends it; what follows is dropped only for a while."""
    pieces: Iterator[bytes] = (b" " * 1_000_000 for _ in range(1000))
    given = 0

    async def stream() -> AsyncIterator[bytes]:
        nonlocal given
        for piece in pieces:
            given += 1
            yield piece

    headers = {"content-type": "application/json"}
    response = await client.post("/v1/messages", content=stream(), headers=headers)

    assert (response.status_code, response.json()["code"]) == (413, "too_large")
    assert given < 20


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v2", 404), ("PUT", "/v1/messages", 405)])
async def test_what_is_not_there_is_a_problem_too(
    client: httpx2.AsyncClient, method: str, path: str, status: int
) -> None:
    """The framework's own refusals look like ours."""
    response = await client.request(method, path)

    assert (response.status_code, response.json()["status"]) == (status, status)
    assert response.headers["content-type"] == "application/problem+json"


async def test_what_nobody_foresaw_is_logged_and_tells_nothing(client: httpx2.AsyncClient) -> None:
    """500 with the id under which it is in the log, and not a word of the error itself."""
    headers = {"authorization": f"Bearer ak_{'0' * 16}_{'x' * 43}"}

    response = await client.get("/v1/conversations", headers=headers)

    assert (response.status_code, response.json()["code"]) == (500, "internal")
    assert response.json()["request_id"] in response.json()["detail"]
    assert "secret" not in response.text


@pytest.mark.parametrize(
    ("change", "status", "word"),
    [
        ({}, 200, "ready"),
        ({"started": False}, 503, "starting"),
        ({"draining": True}, 503, "draining"),
        ({"usable": False}, 503, "unusable"),
    ],
)
async def test_readiness_tells_the_reason(
    client: httpx2.AsyncClient, state: State, change: dict[str, bool], status: int, word: str
) -> None:
    """It fails for three reasons only; a dependency that never answered is told and fails nothing."""
    for name, value in change.items():
        setattr(state, name, value)

    response = await client.get("/readyz")

    assert (response.status_code, response.json()["status"]) == (status, word)
    assert response.json()["dependencies"] == {
        "backplane": {"seconds_since_success": None},
        "database": {"seconds_since_success": 0.25},
    }


async def test_alive_and_started_are_other_questions(client: httpx2.AsyncClient, state: State) -> None:
    """A process that drains or cannot work is alive; one that has not started is not started."""
    state.started, state.usable, state.draining = False, False, True

    statuses = [(await client.get(path)).status_code for path in ("/livez", "/startupz")]

    assert statuses == [200, 503]


async def test_requests_are_counted_by_their_route(client: httpx2.AsyncClient) -> None:
    """The label is the route's template: no id is ever a label."""
    await client.get(f"/v1/messages/{HELLO.id}")
    await client.get("/nowhere/at/all")

    numbers = (await client.get("/metrics")).text

    assert 'aldis_http_requests_total{method="GET",route="/v1/messages/{message_id}",status="200"} 1.0' in numbers
    assert 'aldis_http_requests_total{method="GET",route="none",status="404"} 1.0' in numbers
    assert 'aldis_rejected_total{code="not_found"} 1.0' in numbers
    assert HELLO.id not in numbers


async def test_the_description_is_of_what_is_there(client: httpx2.AsyncClient) -> None:
    """OpenAPI 3.1 with every call, problems as problems, and nothing of the framework's own."""
    description: dict[str, Any] = (await client.get("/openapi.json")).json()

    assert description["openapi"].startswith("3.1")
    assert {"/v1/messages", "/v1/messages/{message_id}", "/v1/conversations", "/v1/ack"} <= set(description["paths"])


async def test_a_description_that_has_not_changed_is_not_sent_again(client: httpx2.AsyncClient) -> None:
    """Its ETag is answered with 304."""
    first = await client.get("/openapi.json")
    again = await client.get("/openapi.json", headers={"if-none-match": first.headers["etag"]})
    another = await client.get("/openapi.json", headers={"if-none-match": '"0123456789abcdef"'})

    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert another.status_code == 200


@pytest.mark.parametrize("path", ["/redoc", "/docs/oauth2-redirect"])
async def test_the_frameworks_own_pages_are_off(client: httpx2.AsyncClient, path: str) -> None:
    """They take their scripts from elsewhere."""
    assert (await client.get(path)).status_code == 404


async def test_no_answer_to_a_caller_is_for_a_cache(client: httpx2.AsyncClient) -> None:
    """Also one without a body."""
    response = await client.post("/v1/ack?device=phone", json={"s": 3})

    assert (response.status_code, response.headers["cache-control"]) == (204, "no-store")
