"""What people have on a server, put there over the wire by one version and looked at when another one serves it.

Nothing here is held to today's descriptions: of two versions one is older, and answers with fewer fields.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from aldis.domain.ids import rfc3339
from integration.cli.letters import FLEETING, LETTERS, make_letter
from integration.promise import wire
from served import Server

Json = dict[str, Any]
WAIT_SECONDS = 30.0
SOON_MS = 6_000  # until the scheduled send is due: long enough for the other version to be the one that sends it
CHANNELS: Mapping[str, Json] = {
    "orders": {"type": "Notification"},
    "fleeting": FLEETING,
    "news": {"type": "Broadcast", "audience": "Everyone"},
}


@asynccontextmanager
async def calling(server: Server, credential: str) -> AsyncGenerator[httpx2.AsyncClient]:
    """REST with a token or a key."""
    headers = {"authorization": f"Bearer {credential}"}
    async with httpx2.AsyncClient(base_url=server.url, headers=headers, trust_env=False, timeout=WAIT_SECONDS) as http:
        yield http


class Device:
    """A device that keeps a cursor, or one without storage, which goes on from what it has acknowledged."""

    def __init__(self, user: str, name: str, *, keeps_cursor: bool) -> None:
        self.user = user
        self.name = name
        self._keeps_cursor = keeps_cursor
        self._epoch: str | None = None
        self._places: dict[str, int] = {}
        self._seen: list[tuple[str, str]] = []

    async def visit(self, server: Server, *wanted: str) -> list[tuple[str, str]]:
        """Connect, take what comes until all that is wanted has, and tell the source of each message."""
        self._seen = []
        async with (
            asyncio.timeout(WAIT_SECONDS),
            connect(server.ws_url, subprotocols=[Subprotocol("aldis.v1")], proxy=None) as socket,
        ):
            cursor = wire.format_places(self._epoch, self._places) if self._keeps_cursor and self._epoch else None
            await socket.send(wire.connect_command(server.token(self.user), self.name, cursor).decode())
            await self._take_until(socket, lambda frame: frame.connect is not None)
            while not {message for _, message in self._seen}.issuperset(wanted):
                await self._take_until(socket, lambda frame: frame.source is not None)
            await socket.send(json.dumps({"id": 9, "presence": {"watch": []}}))
            await self._take_until(socket, lambda frame: frame.id == 9)  # so all before that was taken, too
            async with calling(server, server.token(self.user)) as http:
                await http.post(
                    "/v1/ack", params={"device": self.name}, json=self._places
                )  # is answered once it is stored
        return self._seen

    async def _take_until(self, socket: ClientConnection, is_wanted: Callable[[wire.Frame], bool]) -> None:
        is_over = False
        while not is_over:
            frame = wire.decode(str(await socket.recv()))
            self._take(frame)
            if frame.source is not None:
                await socket.send(wire.ack_command({frame.source: frame.events[-1].pos}).decode())
            is_over = is_wanted(frame)

    def _take(self, frame: wire.Frame) -> None:
        if frame.connect is not None:
            epoch, places = wire.parse_places(frame.connect.cursor)
            if self._epoch is not None:
                assert frame.connect.recovered, f"{self.name} was not recovered"
                assert places == self._places, f"{self.name} did not go on where it was"
            self._epoch, self._places = epoch, places
        for event in frame.events:
            assert frame.source is not None
            assert event.pos > self._places[frame.source], f"{self.name} was told {frame.source}{event.pos} again"
            self._places[frame.source] = event.pos
            if event.message is not None:
                self._seen.append((frame.source, event.message.id))


@dataclass(slots=True)
class Household:
    """Ann and Bob, a shop that writes to them, and what each device is still to be told."""

    shop: str  # a key
    ops: str
    phone: Device
    tablet: Device
    owed: list[tuple[str, str]] = field(
        default_factory=list
    )  # to Bob's devices: source and message, by source in order
    repeats: list[tuple[str, Json, Json]] = field(default_factory=list)  # key, body and answer of sends
    later: Json = field(default_factory=dict)
    letter: Json = field(default_factory=dict)

    async def write(self, server: Server, body: Json, *, source: str, by: str | None = None, key: str = "") -> Json:
        """Send, to Bob or to all, by Ann or by a key; it is owed to Bob's devices, and can be repeated."""
        credential = server.token("ann") if by is None else by
        async with calling(server, credential) as http:
            answer = await post(http, "/v1/messages", body, key=key)
        self.owed.append((source, answer["message_id"]))
        if by is None:
            self.repeats.append((key, body, answer))
        return answer

    async def chat(self, server: Server, words: str, **more: Any) -> Json:
        """Let Ann write to Bob."""
        source = "e" if more.get("priority") == "high" else "s"
        key = words.replace(" ", "-") if "client_id" not in more else ""
        return await self.write(server, {**said(words, user="bob"), **more}, source=source, key=key)

    async def post_all(self, server: Server, words: str) -> None:
        """Let the shop write to Bob, urgently and not, and to all."""
        body = {**said(f"{words}: an order", user="bob"), "channel": "orders"}
        await self.write(server, body, source="s", by=self.shop)
        await self.write(server, {**body, "priority": "urgent"}, source="e", by=self.shop)
        await self.write(server, said(f"{words}: news", channel="news"), source="bs", by=self.shop)

    async def collect(self, server: Server) -> None:
        """Have Bob's devices come, and see that each is told all that it is owed, in order, and nothing else."""
        await self.chat(server, f"the last of {len(self.repeats)}")
        for device in (self.phone, self.tablet):
            seen = await device.visit(server, *(message for _, message in self.owed))
            for source in ("e", "s", "bs"):
                wanted = [message for of, message in self.owed if of == source]
                assert [message for of, message in seen if of == source] == wanted, f"{device.name}, {source}"
        self.owed.clear()

    async def repeat(self, server: Server) -> None:
        """Send again what was sent, and see that it is the same messages."""
        async with calling(server, server.token("ann")) as http:
            for key, body, answer in self.repeats:
                again = await post(http, "/v1/messages", body, key=key)
                assert again == {**answer, "duplicate": True}

    async def look(self, server: Server) -> Json:
        """All that can be read of it."""
        found: Json = {}
        for user in ("ann", "bob"):
            async with calling(server, server.token(user)) as http:
                found |= {f"{user} {path}": await get(http, path) for path in ("/v1/badge", "/v1/blocks")}
                found[f"{user} talks"] = talks = await get(http, "/v1/conversations")
                for path in [f"/v1/conversations/{talk['id']}/messages" for talk in talks["items"]]:
                    found[f"{user} {path}"] = await get(http, path)
        async with calling(server, self.ops) as http:
            for path in ("channels", "keys", "users/ann", "users/bob", "dead-letters"):
                found[path] = await get(http, f"/v1/admin/{path}")
            for _, _, answer in self.repeats:
                path = f"/v1/messages/{answer['message_id']}"
                steps = (await get(http, f"{path}/timeline"))["items"]
                found[path] = await get(http, path)
                found[f"{path} when"] = [step for step in steps if step["type"] != "attempt"]  # those go on meanwhile
        for key in found["keys"]["items"]:
            del key["last_used_at"]  # noted every now and then
        return found

    async def schedule(self, server: Server) -> None:
        """Let the shop write to Dave, soon."""
        at = rfc3339(int(time.time() * 1000) + SOON_MS)
        async with calling(server, self.shop) as http:
            self.later = await post(
                http, "/v1/messages", {**said("soon", user="dave"), "channel": "orders", "send_at": at}
            )
        assert self.later["state"] == "waiting"

    async def await_scheduled(self, server: Server) -> None:
        """See that it comes, once."""
        async with calling(server, self.shop) as http, asyncio.timeout(WAIT_SECONDS):
            while (found := await get(http, f"/v1/scheduled/{self.later['scheduled_id']}"))["state"] != "sent":
                await asyncio.sleep(0.1)
            [sent] = found["messages"]
            last = await post(http, "/v1/messages", {**said("last", user="dave"), "channel": "orders"})
        seen = await Device("dave", "phone", keeps_cursor=True).visit(server, last["message_id"])
        assert seen == [("s", sent["message_id"]), ("s", last["message_id"])]

    async def replay_letter(self, server: Server) -> None:
        """See that what never reached the ghost can be sent once more, and does."""
        async with calling(server, self.ops) as http:
            await post(http, f"{LETTERS}/{self.letter['id']}:replay", {}, status=202)
            marker = await post(http, "/v1/messages", {**said("marker", user="ghost"), "channel": "orders"})
        seen = await Device("ghost", "phone", keeps_cursor=True).visit(server, marker["message_id"])
        assert [message for _, message in seen].count(self.letter["message_id"]) >= 1


async def settle(server: Server) -> Household:
    """A household with some of everything, whose devices have been here, and more has come since."""
    home = Household(
        await server.key("shop"),
        await server.key("ops", "--admin"),
        Device("bob", "phone", keeps_cursor=True),
        Device("bob", "tablet", keeps_cursor=False),
    )
    async with calling(server, home.ops) as http:
        for name, spec in CHANNELS.items():
            (await http.put(f"/v1/admin/channels/{name}", json=spec)).raise_for_status()
    for device in (home.phone, home.tablet):
        await device.visit(server)
    first = await home.chat(server, "hello", client_id="c-1")
    await home.chat(server, "look here", priority="high")
    await home.post_all(server, "before")
    await home.collect(server)
    await change(server, home, first)
    for number in range(3):
        await home.chat(server, f"while you were away {number}", client_id=f"away-{number}")
    await home.chat(server, "urgently", priority="high")
    await home.post_all(server, "meanwhile")
    async with calling(server, home.ops) as http:
        home.letter = await make_letter(http, "ghost")
    return home


async def change(server: Server, home: Household, first: Json) -> None:
    """What is neither a send nor its delivery: an edit, a read, a block, a muted conversation."""
    async with calling(server, server.token("ann")) as http:
        content = said("hello, Bob", user="bob")["content"]
        (await http.patch(f"/v1/messages/{first['message_id']}", json={"content": content})).raise_for_status()
    home.owed.append(("s", first["message_id"]))
    async with calling(server, server.token("bob")) as http:
        talk = f"/v1/conversations/{first['conversation_id']}"
        await post(http, f"{talk}/read", {"seq": first["seq"]}, status=200)
        (await http.patch(talk, json={"muted": True})).raise_for_status()
        (await http.put("/v1/blocks/carol")).raise_for_status()


def said(words: str, **to: str) -> Json:
    """The body of a send."""
    return {"to": to, "content": {"type": "text", "text": words}}


async def post(http: httpx2.AsyncClient, path: str, body: Json, *, status: int | None = None, key: str = "") -> Json:
    """What a call is answered."""
    response = await http.post(path, json=body, headers={"Idempotency-Key": key} if key else {})
    assert response.status_code in ({201, 202} if status is None else {status}), response.text
    answer: Json = response.json()
    return answer


async def get(http: httpx2.AsyncClient, path: str) -> Json:
    """What is there."""
    response = await http.get(path)
    assert response.status_code == 200, f"{path}: {response.text}"
    answer: Json = response.json()
    return answer


def common(one: Any, other: Any) -> Any:
    """Of `one` what `other` has fields for: a version may answer with more of them, and lists have no more items."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {name: common(value, other[name]) for name, value in one.items() if name in other}
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [common(each, like) for each, like in zip(one, other, strict=True)]
    return one


def assert_same(before: Json, after: Json) -> None:
    """Fail unless two looks show the same, in all that both versions tell."""
    assert before.keys() == after.keys()
    for name in before:
        assert common(before[name], after[name]) == common(after[name], before[name]), name
