"""Each row of who may edit and delete: those who may and those who may not, of every kind of message, by REST."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import NamedTuple

import httpx2
import pytest

from aldis.adapters.memory.clock import SystemClock
from aldis.adapters.sql.store import SqlStore
from aldis.domain.callers import Scope
from aldis.services.apply_channel import apply_channel
from aldis.services.issue_key import issue_key
from integration.gateway.sockets import Json, new_name, problem, rest, text
from served import Server

CHAT, NOTIFICATION, BROADCAST = "Chat", "Notification", "Broadcast"
MAY, NOT, HIDDEN = "may", "403 forbidden", "404 not_found"
BOTH = (Scope.SEND, Scope.SEND_AS)


class Key(NamedTuple):
    """A backend's key: whether of the backend that sent, its scopes, and whether for the message's channel."""

    is_senders: bool
    scopes: tuple[Scope, ...]
    is_for_channel: bool | None = None  # None: for every channel


KEYS = {
    "the sender's key": Key(is_senders=True, scopes=(Scope.SEND,), is_for_channel=True),
    "another key of the sender": Key(is_senders=True, scopes=BOTH),
    "the sender's key for chats": Key(is_senders=True, scopes=(Scope.SEND_AS,), is_for_channel=True),
    "the sender's key for another channel": Key(is_senders=True, scopes=BOTH, is_for_channel=False),
    "the sender's key for administration": Key(is_senders=True, scopes=(Scope.ADMIN,)),
    "another backend": Key(is_senders=False, scopes=(Scope.SEND,), is_for_channel=True),
    "another backend that writes as users": Key(is_senders=False, scopes=(Scope.SEND_AS,), is_for_channel=True),
    "another backend that writes as users elsewhere": Key(
        is_senders=False, scopes=(Scope.SEND_AS,), is_for_channel=False
    ),
}
WHO_MAY: Mapping[str, Mapping[str, str]] = {
    CHAT: {
        "ann": MAY,
        "bob": NOT,
        "eve": HIDDEN,
        "the sender's key": NOT,
        "another key of the sender": MAY,
        "the sender's key for chats": MAY,
        "the sender's key for another channel": HIDDEN,
        "the sender's key for administration": NOT,
        "another backend": NOT,
        "another backend that writes as users": MAY,
        "another backend that writes as users elsewhere": HIDDEN,
    },
    **{
        kind: {
            "ann": HIDDEN,
            "bob": NOT,
            "eve": HIDDEN,
            "the sender's key": MAY,
            "another key of the sender": MAY,
            "the sender's key for chats": NOT,
            "the sender's key for another channel": HIDDEN,
            "the sender's key for administration": NOT,
            "another backend": NOT,
            "another backend that writes as users": NOT,
            "another backend that writes as users elsewhere": HIDDEN,
        }
        for kind in (NOTIFICATION, BROADCAST)
    },
}
ROWS = [(kind, who, expected) for kind, row in WHO_MAY.items() for who, expected in row.items()]


@dataclass
class Scene:
    """A channel in which something can be sent, and all who might want to change it."""

    kind: str
    channel: str
    names: Mapping[str, str]
    callers: Mapping[str, httpx2.AsyncClient]

    async def sent(self) -> str:
        """A new message: of ann to bob, or of the backend to bob, or to all of the channel."""
        target = {"channel": self.channel} if self.kind == BROADCAST else {"user": self.names["bob"]}
        channel: Json = {} if self.kind == BROADCAST else {"channel": self.channel}
        caller = "ann" if self.kind == CHAT else "the sender's key"
        body = {"to": target, "content": text(), **channel}
        response = await self.callers[caller].post("/v1/messages", json=body)
        assert response.status_code == 201, response.text
        found: str = response.json()["message_id"]
        return found


@pytest.fixture(scope="module")
async def scenes(server: Server, store: SqlStore) -> AsyncIterator[Mapping[str, Scene]]:
    """One for each kind of message."""
    async with AsyncExitStack() as stack:
        found = {}
        for kind in WHO_MAY:
            channel, sender = new_name("ch"), new_name("shop")
            await apply_channel({"type": kind}, name=channel, store=store, clock=SystemClock())
            names = {stem: new_name(stem) for stem in ("ann", "bob", "eve")}
            tokens = {stem: server.token(name) for stem, name in names.items()}
            for who, key in KEYS.items():
                issued = await issue_key(
                    sender if key.is_senders else new_name("other"),
                    channels={None: (), True: (channel,), False: (new_name("elsewhere"),)}[key.is_for_channel],
                    scopes=key.scopes,
                    store=store,
                    clock=SystemClock(),
                )
                tokens[who] = issued.text
            callers = {who: await stack.enter_async_context(rest(server, token)) for who, token in tokens.items()}
            if kind == BROADCAST:
                assert (await callers["bob"].put(f"/v1/subscriptions/{channel}")).status_code == 204
            found[kind] = Scene(kind, channel, names, callers)
        yield found


def outcome(response: httpx2.Response) -> str:
    """`may`, or the status and the code."""
    return MAY if response.is_success else " ".join(map(str, problem(response)))


@pytest.mark.parametrize(("kind", "who", "expected"), ROWS, ids=lambda value: value.replace(" ", "-"))
async def test_who_may_edit_and_delete_a_message(
    scenes: Mapping[str, Scene], kind: str, who: str, expected: str
) -> None:
    """Its sender, by every key that could send it; who sees it is told so, and for all others it is not there."""
    scene = scenes[kind]
    path = f"/v1/messages/{await scene.sent()}"
    caller = scene.callers[who]

    edited = await caller.patch(path, json={"content": text("changed")})
    deleted = await caller.delete(path)

    assert [outcome(edited), outcome(deleted)] == [expected, expected]
    backend = scene.callers["another key of the sender"]
    now = (await backend.get(path)).json()
    assert (now["gone"], now["content"]) == (("deleted", None) if expected == MAY else (None, text()))


async def test_a_message_in_a_users_name_is_his_as_well(scenes: Mapping[str, Scene]) -> None:
    """Whichever of the two sent it, the other may change it."""
    scene = scenes[CHAT]
    body = {
        "from": {"user": scene.names["ann"]}, "to": {"user": scene.names["bob"]}, "channel": scene.channel,
        "content": text(),
    }  # fmt: skip
    backend = scene.callers["the sender's key for chats"]
    path = f"/v1/messages/{(await backend.post('/v1/messages', json=body)).json()['message_id']}"

    edited = await scene.callers["ann"].patch(path, json={"content": text("mine")})
    again = await backend.patch(path, json={"content": text("ours")})

    assert [outcome(edited), outcome(again)] == [MAY, MAY]
    assert again.json()["sender"] == {"user": scene.names["ann"]}
