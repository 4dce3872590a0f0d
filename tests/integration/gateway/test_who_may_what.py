"""Each row of the contract's table of who may do what: a case that may and one that may not, by socket and by REST."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aldis.adapters.memory.clock import SystemClock
from aldis.adapters.sql.store import SqlStore
from aldis.bootstrap import open_admin_store
from aldis.domain.callers import Scope
from aldis.services.apply_channel import apply_channel
from aldis.services.issue_key import issue_key
from integration.gateway.sockets import Client, Json, chat, connected, new_name, problem, rest, text
from served import Server, served

NOBODY = "00000000-0000-5000-8000-000000000000"
FORBIDDEN = "forbidden"


@dataclass
class Asker:
    """A user by one of the two ways; `send` answers `stored`, or the code and the field of the refusal."""

    name: str
    way: str
    socket: Client
    http: httpx2.AsyncClient

    async def send(self, body: Json) -> str:
        """What becomes of a send."""
        if self.way == "socket":
            reply = await self.socket.ask(send={"client_id": new_name("c"), **body})
            if "send" in reply:
                return "stored"
            return f"{reply['error']['code']} {reply['error']['field'].removeprefix('send.')}"
        return await outcome(await self.http.post("/v1/messages", json=body))

    async def stored(self, body: Json) -> Json:
        """Where a message was stored."""
        response = await self.http.post("/v1/messages", json=body)
        assert response.status_code == 201, response.text
        where: Json = response.json()
        return where


async def outcome(response: httpx2.Response) -> str:
    """`stored`, or the code and the field."""
    if response.status_code == 201:
        return "stored"
    return f"{problem(response)[1]} {response.json()['field']}"


@pytest.fixture(params=["socket", "rest"])
async def ask(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[Callable[[str], Awaitable[Asker]]]:
    """Be a user, by the one way or by the other."""
    async with AsyncExitStack() as stack:

        async def be(user: str) -> Asker:
            socket = await stack.enter_async_context(connected(server, user))
            http = await stack.enter_async_context(rest(server, server.token(user)))
            return Asker(user, request.param, socket, http)

        yield be


@pytest.fixture
async def as_key(server: Server, store: SqlStore) -> AsyncIterator[Callable[..., Awaitable[httpx2.AsyncClient]]]:
    """Be a backend with a key of its own."""
    async with AsyncExitStack() as stack:

        async def be(*scopes: Scope, channels: tuple[str, ...] = ()) -> httpx2.AsyncClient:
            issued = await issue_key(
                new_name("shop"), channels=channels, scopes=scopes, store=store, clock=SystemClock()
            )
            return await stack.enter_async_context(rest(server, issued.text))

        yield be


AskAs = Callable[[str], Awaitable[Asker]]
AsKey = Callable[..., Awaitable[httpx2.AsyncClient]]


async def declare(server: Server, store: SqlStore, spec: Json, stem: str = "ch") -> str:
    """A new channel that every process knows: by REST it reads a name that it does not know."""
    name = new_name(stem)
    await apply_channel(spec, name=name, store=store, clock=SystemClock())
    async with rest(server, server.token(new_name("prober"))) as http:
        for url in server.own_urls:
            body = {"to": {"user": "nobody"}, "channel": name, "content": text()}
            await http.post(f"{url}/v1/messages", json=body)
    return name


# -- chatting ---------------------------------------------------------------------------------------------------------


async def test_a_user_writes_to_a_user_and_into_a_conversation(ask: AskAs) -> None:
    """His own; one that is not his, or nobody's, is not there."""
    ann, bob, eve = await ask(new_name("ann")), await ask(new_name("bob")), await ask(new_name("eve"))
    there = (await ann.stored({"to": {"user": bob.name}, "content": text()}))["conversation_id"]
    body = {"to": {"conversation": there}, "content": text()}

    assert await ann.send({"to": {"user": bob.name}, "content": text()}) == "stored"
    assert await bob.send(body) == "stored"
    assert await eve.send(body) == "not_found to.conversation"
    assert await eve.send({**body, "to": {"conversation": NOBODY}}) == "not_found to.conversation"


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"content": {"type": "json", "data": {"a": [1, None]}}},
        {"priority": "low"},
        {"priority": "normal"},
        {"priority": "high"},
        {"expires_in": 60},
        {"kind": "chat"},
        {"channel": "chat"},
    ],
    ids=str,
)
async def test_what_a_user_may_set(ask: AskAs, more: Json) -> None:
    """Content, priority, an end."""
    ann = await ask(new_name("ann"))

    assert await ann.send({"to": {"user": new_name("bob")}, "content": text(), **more}) == "stored"


async def test_a_user_replies_within_a_conversation(ask: AskAs) -> None:
    """A message of another one is not there."""
    ann, bob = await ask(new_name("ann")), new_name("bob")
    here = (await ann.stored({"to": {"user": bob}, "content": text()}))["message_id"]
    there = (await ann.stored({"to": {"user": new_name("carl")}, "content": text()}))["message_id"]
    body = {"to": {"user": bob}, "content": text()}

    assert await ann.send({**body, "reply_to": here}) == "stored"
    assert await ann.send({**body, "reply_to": there}) == "not_found reply_to"


async def test_a_user_writes_in_declared_chat_channels_only(ask: AskAs, server: Server, store: SqlStore) -> None:
    """By socket as by REST; not in one that is not declared, nor in one for something else."""
    desk = await declare(server, store, {"type": "Chat"})
    news = await declare(server, store, {"type": "Notification"})
    ann = await ask(new_name("ann"))
    body = {"to": {"user": new_name("bob")}, "content": text()}

    assert await ann.send({**body, "channel": desk}) == "stored"
    assert await ann.send({**body, "channel": "nowhere"}) == "unknown_channel channel"
    assert await ann.send({**body, "channel": news}) == "bad_request channel"


async def test_frames_into_a_declared_channel_keep_their_order(server: Server, store: SqlStore) -> None:
    """The socket waits for no look-up."""
    desk, bob = await declare(server, store, {"type": "Chat"}), new_name("bob")
    async with connected(server, new_name("ann")) as client:
        for number in range(100):
            await client.say({"id": number, "send": chat(bob, channel=desk)})
        replies: list[Json] = []
        while len(replies) < 100:
            frame = await client.hear()
            replies += [frame] if "id" in frame else []

    assert {reply["id"]: reply["send"]["seq"] for reply in replies} == {number: number + 1 for number in range(100)}


# -- what only backends may -------------------------------------------------------------------------------------------

BACKENDS_ONLY: list[tuple[str, Json]] = [
    ("kind", {"kind": "notification"}),
    ("to.users", {"to": {"users": ["bob"]}}),
    ("to.channel", {"to": {"channel": "news"}}),
    ("priority", {"priority": "urgent"}),
    ("from", {"from": {"user": "carl"}}),
    ("push", {"push": {"title": "hi"}}),
    ("send_at", {"send_at": "2100-01-01T00:00:00Z"}),
]


@pytest.mark.parametrize(("field", "changes"), BACKENDS_ONLY, ids=[field for field, _ in BACKENDS_ONLY])
async def test_what_a_user_may_not_set(ask: AskAs, field: str, changes: Json) -> None:
    """Each with its own path."""
    ann = await ask(new_name("ann"))

    assert await ann.send({"to": {"user": "bob"}, "content": text(), **changes}) == f"forbidden_field {field}"


@pytest.mark.parametrize(
    ("type_", "body"),
    [
        ("Notification", {"to": {"user": "bob"}, "kind": "notification"}),
        ("Notification", {"to": {"users": ["ann", "bob"]}}),
        ("Notification", {"to": {"user": "bob"}, "priority": "urgent"}),
        ("Broadcast", {"to": {}}),
        ("Broadcast", {"to": {}, "priority": "urgent"}),
    ],
    ids=str,
)
async def test_a_backend_notifies_with_the_scope_and_in_its_channels(
    server: Server, store: SqlStore, as_key: AsKey, type_: str, body: Json
) -> None:
    """Not without the scope `send`, and not in other channels."""
    name = await declare(server, store, {"type": type_})
    is_broadcast = type_ == "Broadcast"
    sent = {**body, "content": text(), **({"to": {"channel": name}} if is_broadcast else {"channel": name})}
    field = "to.channel" if is_broadcast else "channel"

    async def tried(key: httpx2.AsyncClient) -> str:
        return await outcome(await key.post("/v1/messages", json=sent))

    assert await tried(await as_key(Scope.SEND, channels=(name,))) == "stored"
    assert await tried(await as_key(Scope.SEND)) == "stored"
    assert await tried(await as_key(Scope.SEND_AS, Scope.ADMIN, channels=(name,))) == "forbidden None"
    assert await tried(await as_key(Scope.SEND, channels=("other",))) == f"forbidden {field}"


async def test_a_backend_chats_as_a_user_with_the_scope_and_in_its_channels(
    server: Server, store: SqlStore, as_key: AsKey
) -> None:
    """By name and by conversation; without `send_as`, or with a key of other channels, not."""
    desk, ann, bob = await declare(server, store, {"type": "Chat"}), new_name("ann"), new_name("bob")
    body = {"from": {"user": ann}, "to": {"user": bob}, "channel": desk, "content": text()}
    own, every = await as_key(Scope.SEND_AS, channels=(desk,)), await as_key(Scope.SEND_AS)
    without, other = await as_key(Scope.SEND, channels=(desk,)), await as_key(Scope.SEND_AS, channels=("chat",))

    stored = (await own.post("/v1/messages", json=body)).json()
    into = {"from": {"user": bob}, "to": {"conversation": stored["conversation_id"]}, "content": text()}

    async def tried(key: httpx2.AsyncClient, what: Json) -> str:
        return await outcome(await key.post("/v1/messages", json=what))

    assert [await tried(key, what) for key in (own, every) for what in (body, into)] == ["stored"] * 4
    assert [await tried(without, body), await tried(without, into)] == ["forbidden None"] * 2
    assert await tried(other, body) == "forbidden channel"
    assert await tried(other, into) == "not_found to.conversation"
    assert await tried(other, {**into, "channel": "chat"}) == "not_found to.conversation"
    assert await tried(every, {**into, "from": {"user": new_name("eve")}}) == "not_found to.conversation"


async def test_a_backend_without_a_user_does_not_chat(as_key: AsKey) -> None:
    """It has nobody's conversations."""
    key = await as_key(Scope.SEND, Scope.SEND_AS)
    body = {"to": {"user": "bob"}, "kind": "chat", "content": text()}

    assert await outcome(await key.post("/v1/messages", json=body)) == "forbidden_field kind"


# -- status and timeline ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/messages/{}", "/v1/messages/{}/timeline"])
async def test_who_sees_what_became_of_a_message(server: Server, store: SqlStore, as_key: AsKey, path: str) -> None:
    """Its sender, its recipients and the keys of its channel; to all others it is not there."""
    desk, ann, bob = await declare(server, store, {"type": "Chat"}), new_name("ann"), new_name("bob")
    async with rest(server, server.token(ann)) as anns, rest(server, server.token(bob)) as bobs:
        body = {"to": {"user": bob}, "channel": desk, "content": text()}
        target = path.format((await anns.post("/v1/messages", json=body)).json()["message_id"])
        statuses = [(await http.get(target)).status_code for http in (anns, bobs)]
    async with rest(server, server.token(new_name("eve"))) as eves:
        statuses.append((await eves.get(target)).status_code)
    keys = [await as_key(Scope.SEND, channels=channels) for channels in ((desk,), (), ("other",))]
    statuses += [(await key.get(target)).status_code for key in keys]

    assert statuses == [200, 200, 404, 200, 200, 404]


# -- administration ---------------------------------------------------------------------------------------------------


async def test_only_keys_with_the_scope_administrate(server: Server, as_key: AsKey) -> None:
    """Neither users nor other keys."""
    async with rest(server, server.token(new_name("ann"))) as users:
        refused = [await users.get("/v1/admin/channels")]
    refused.append(await (await as_key(Scope.SEND, Scope.SEND_AS)).get("/v1/admin/channels"))
    allowed = await (await as_key(Scope.ADMIN)).get("/v1/admin/channels")

    assert [problem(response) for response in refused] == [(403, FORBIDDEN)] * 2
    assert allowed.status_code == 200


# -- policies of chat channels ----------------------------------------------------------------------------------------


async def test_where_anyone_chats_anyone_does(ask: AskAs, server: Server, store: SqlStore) -> None:
    """Also where it is said in so many words."""
    open_to_all = await declare(server, store, {"type": "Chat", "chat": {"who": "Anyone"}})
    ann = await ask(new_name("ann"))

    assert await ann.send({"to": {"user": "bob"}, "channel": open_to_all, "content": text()}) == "stored"


async def test_where_agents_chat_one_of_the_two_is_one(
    ask: AskAs, server: Server, store: SqlStore, as_key: AsKey
) -> None:
    """By name and by conversation, for users and for backends in a user's name."""
    desk = await declare(server, store, {"type": "Chat", "chat": {"who": "Agents", "agents": ["agent-*"]}})
    ann, agent = await ask(new_name("ann")), await ask(new_name("agent"))
    at_desk = {"channel": desk, "content": text()}
    there = (await ann.stored({"to": {"user": agent.name}, **at_desk}))["conversation_id"]
    key = await as_key(Scope.SEND_AS)

    async def as_ann(to: str) -> str:
        return await outcome(
            await key.post("/v1/messages", json={"from": {"user": ann.name}, "to": {"user": to}, **at_desk})
        )

    assert await ann.send({"to": {"user": agent.name}, **at_desk}) == "stored"
    assert await agent.send({"to": {"user": ann.name}, **at_desk}) == "stored"
    assert await agent.send({"to": {"conversation": there}, "content": text()}) == "stored"
    assert await ann.send({"to": {"user": new_name("bob")}, **at_desk}) == "forbidden to.user"
    assert [await as_ann(agent.name), await as_ann("bob")] == ["stored", "forbidden to.user"]


async def test_where_backends_begin_users_only_go_on(
    ask: AskAs, server: Server, store: SqlStore, as_key: AsKey
) -> None:
    """Both of the two, by name and by conversation; nobody begins one himself."""
    order = await declare(server, store, {"type": "Chat", "chat": {"who": "Existing"}})
    ann, bob = await ask(new_name("ann")), await ask(new_name("bob"))
    body = {"to": {"user": bob.name}, "channel": order, "content": text()}
    key = await as_key(Scope.SEND_AS)

    before = await ann.send(body)
    begun = await key.post("/v1/messages", json={**body, "from": {"user": ann.name}})
    into = {"to": {"conversation": begun.json()["conversation_id"]}, "content": text()}

    assert [before, await outcome(begun)] == ["forbidden to.user", "stored"]
    assert [await ann.send(body), await bob.send(into)] == ["stored", "stored"]
    assert await ann.send({**body, "to": {"user": new_name("carl")}}) == "forbidden to.user"


async def test_where_nobody_chats_nobody_does(ask: AskAs, server: Server, store: SqlStore, as_key: AsKey) -> None:
    """Not even where there is a conversation from earlier days."""
    name = await declare(server, store, {"type": "Chat"})
    ann, bob = await ask(new_name("ann")), await ask(new_name("bob"))
    body = {"to": {"user": bob.name}, "channel": name, "content": text()}
    there = (await ann.stored(body))["conversation_id"]
    spec = {"type": "Chat", "chat": {"who": "Nobody"}}
    await apply_channel(spec, name=name, store=store, clock=SystemClock())
    await declare(server, store, {"type": "Chat"})  # so that the server has read what is declared
    key = await as_key(Scope.SEND_AS)

    assert await ann.send(body) == "forbidden to.user"
    assert await bob.send({"to": {"conversation": there}, "content": text()}) == "forbidden to.conversation"
    assert (
        await outcome(await key.post("/v1/messages", json={**body, "from": {"user": ann.name}})) == "forbidden to.user"
    )


async def test_the_built_in_channel_can_be_given_a_policy(tmp_path: Path) -> None:
    """Then it holds for those who name no channel, too."""
    async with served(tmp_path) as own:
        async with open_admin_store(own.settings()) as beside:
            spec: Json = {"type": "Chat", "chat": {"who": "Agents", "agents": ["support"]}}
            await apply_channel(spec, name="chat", store=beside, clock=SystemClock())
        await own.restart()  # which reads the channels; a running one follows within seconds
        async with connected(own, "ann") as client, rest(own, own.token("ann")) as http:
            refused = await client.refused(send=chat("bob"))
            also = await outcome(await http.post("/v1/messages", json={"to": {"user": "bob"}, "content": text()}))
            stored = await client.send(chat("support"))

    assert (refused, also, stored["seq"]) == (("forbidden", "send.to.user"), "forbidden to.user", 1)


# -- blocks -----------------------------------------------------------------------------------------------------------


async def test_a_block_stands_between_the_two_and_nobody_else(ask: AskAs, as_key: AsKey) -> None:
    """Neither can write to the other, by whatever way, until it is taken away."""
    ann, bob, carl = await ask(new_name("ann")), await ask(new_name("bob")), await ask(new_name("carl"))
    there = (await ann.stored({"to": {"user": bob.name}, "content": text()}))["conversation_id"]
    key = await as_key(Scope.SEND_AS)
    path = f"/v1/blocks/{ann.name}"
    to_bob: dict[str, Any] = {"to": {"user": bob.name}, "content": text()}

    assert (await bob.http.put(path)).status_code == 204
    refused = [
        await ann.send(to_bob),
        await bob.send({"to": {"user": ann.name}, "content": text()}),
        await ann.send({"to": {"conversation": there}, "content": text()}),
        await outcome(await key.post("/v1/messages", json={**to_bob, "from": {"user": ann.name}})),
    ]
    others = [await carl.send(to_bob), await ann.send({"to": {"user": carl.name}, "content": text()})]
    assert (await bob.http.delete(path)).status_code == 204
    after = [await ann.send(to_bob), await bob.send({"to": {"conversation": there}, "content": text()})]

    assert refused == ["forbidden to.user", "forbidden to.user", "forbidden to.conversation", "forbidden to.user"]
    assert others + after == ["stored"] * 4
