"""The client against a scripted server: what it does on the wire when things go well and when they do not."""

import asyncio
import http
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from aldis_client import (
    AldisClient,
    Backoff,
    ClientClosed,
    CommandRejected,
    Cursor,
    Disconnected,
    Event,
    MemoryStore,
    OutboxFull,
    SendRejected,
    SqliteStore,
    TokenProvider,
    Unreachable,
)
from integration.client.scripted_server import START, Frame, Peer, scripted, wait_until

pytestmark = pytest.mark.timeout(20)
TOKEN = "t"
QUICK = Backoff(base_seconds=0.005, cap_seconds=0.02)


def client_of(url: str, token: str | TokenProvider = TOKEN, **options: Any) -> AldisClient:
    quick = {"reconnect_backoff": QUICK, "send_backoff": QUICK, "open_timeout": 5, "proxy": None}
    return AldisClient(url, token, **{"device_id": "d1", **quick, **options})


async def take(client: AldisClient, count: int) -> list[Event]:
    events = client.events()
    async with asyncio.timeout(5):
        return [await anext(events) for _ in range(count)]


def positions(events: list[Event]) -> list[int]:
    return [event.position for event in events]


# Connecting and coming back


async def test_the_first_frame_introduces_the_device() -> None:
    """Token, device and platform are in the connect command; a new store has no cursor to give."""
    heard: list[Frame] = []

    async def script(peer: Peer) -> None:
        assert peer.socket.subprotocol == "aldis.v1"
        heard.append(await peer.welcome())
        await peer.stay()

    async with scripted(script) as url, client_of(url) as client:
        assert client.welcome.user == "alice"
        assert client.welcome.limits == {"text": 32768}
        assert client.cursor == Cursor.parse(START)

    assert heard == [{"token": "t", "device": {"id": "d1", "platform": "cli"}}]


async def test_a_dropped_connection_is_resumed_and_nothing_is_seen_twice() -> None:
    """The client comes back with its cursor, and drops what the server sends again."""

    async def before(peer: Peer) -> None:
        await peer.welcome()
        await peer.happen("s", 1, 2)
        await peer.expect_ack({"s": 2})
        peer.drop()

    async def after(peer: Peer) -> None:
        connect = await peer.welcome("k.e0.s2.be0.bs0.r0")
        assert connect["cursor"] == "k.e0.s2.be0.bs0.r0"
        await peer.happen("s", 1, 2, 3)
        await peer.happen("s", 3, 4)
        await peer.stay()

    async with scripted(before, after) as url, client_of(url) as client:
        assert positions(await take(client, 4)) == [1, 2, 3, 4]
        assert (client.stats.duplicates, client.stats.reconnects, client.stats.events) == (3, 1, 4)


async def test_a_file_resumes_in_another_process(tmp_path: Path) -> None:
    """What was stored before is where the next client goes on, and its acknowledgement is repeated."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.happen("s", 1)
        await peer.stay()

    async def second(peer: Peer) -> None:
        connect = await peer.welcome()
        assert connect["cursor"] == "k.e0.s1.be0.bs0.r0"
        await peer.expect_ack({"s": 1})
        await peer.happen("s", 2)
        await peer.stay()

    async with scripted(first, second) as url:
        for position in (1, 2):
            async with SqliteStore(tmp_path / "c.db") as store, client_of(url, store=store) as client:
                assert positions(await take(client, 1)) == [position]


async def test_a_server_that_cannot_resume_starts_the_client_anew() -> None:
    """`recovered: false` clears the store, tells the application, and goes on from the server's cursor."""
    store, told = MemoryStore(), list[str]()

    async def on_reset(cursor: Cursor) -> None:
        assert store.messages == {}
        told.append(str(cursor))

    async def before(peer: Peer) -> None:
        await peer.welcome()
        await peer.happen("s", 1, 2)
        await peer.expect_ack({"s": 2})
        peer.drop()

    async def after(peer: Peer) -> None:
        await peer.welcome("new.e5.s40.be0.bs0.r0", recovered=False)
        await peer.happen("s", 41)
        await peer.expect_ack({"s": 41})
        assert peer.acks == [{"s": 41}], "nothing of the old epoch is acknowledged"
        await peer.stay()

    async with scripted(before, after) as url, client_of(url, store=store, on_reset=on_reset) as client:
        await wait_until(lambda: client.stats.resets == 1)
        assert positions(await take(client, 1)) == [41], "what waited from before is gone"
        assert told == ["new.e5.s40.be0.bs0.r0"]
        assert list(store.messages) == ["s41"]


async def test_a_shutdown_is_come_back_from_when_the_server_says() -> None:
    """4001 is no reason to stop, and `after_ms` is the least wait."""
    times: list[float] = []

    async def before(peer: Peer) -> None:
        await peer.welcome()
        await peer.tell({"disconnect": {"code": 4001, "reason": "shutdown", "reconnect": True, "after_ms": 120}})
        times.append(asyncio.get_running_loop().time())
        await peer.socket.close(4001, "shutdown")

    async def after(peer: Peer) -> None:
        times.append(asyncio.get_running_loop().time())
        await peer.welcome()
        await peer.stay()

    async with scripted(before, after) as url, client_of(url) as client:
        await wait_until(lambda: client.stats.reconnects == 1)

    assert times[1] - times[0] >= 0.12


@pytest.mark.parametrize("code", [4400, 4403, 4409, 4429])
async def test_a_client_that_is_not_wanted_stays_away(code: int) -> None:
    """After 4400-4499 everybody who waits is told why, and no other connection is made."""

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.happen("s", 1)
        await peer.expect("send")
        await peer.socket.close(code, "not you")

    async with scripted(script) as url, client_of(url) as client:
        sending = client.send_nowait(to_user="bob", text="hi")
        with pytest.raises(Disconnected, match="not you"):
            await sending
        assert positions(await take(client, 1)) == [1], "what was stored before is still given out"
        with pytest.raises(Disconnected) as stop:
            await take(client, 1)
        with pytest.raises(Disconnected):
            await client.read("c", 1)

    assert stop.value.code == code


async def refuse_token(peer: Peer) -> None:
    hello = await peer.expect("connect")
    await peer.refuse(hello, "unauthorized")
    await peer.socket.close(4401, "token")


async def test_a_refused_token_is_replaced_once() -> None:
    """A provider is asked for a fresh token, with which the client goes on."""
    tokens = iter(["old", "new"])

    async def provider() -> str:
        return next(tokens)

    async def script(peer: Peer) -> None:
        assert (await peer.welcome())["token"] == "new"
        await peer.stay()

    async with scripted(refuse_token, script) as url, client_of(url, provider) as client:
        assert client.stats.connects == 1


async def test_a_token_refused_twice_is_final() -> None:
    """A fresh token that is refused too ends it, on entering."""

    async def provider() -> str:
        return "bad"

    async with scripted(refuse_token, refuse_token) as url:
        with pytest.raises(Disconnected) as stop:
            await client_of(url, provider).__aenter__()

    assert stop.value.code == 4401


async def test_a_fixed_token_that_is_refused_is_final() -> None:
    """There is nobody to ask."""
    async with scripted(refuse_token) as url:
        with pytest.raises(Disconnected, match="unauthorized"):
            await client_of(url).__aenter__()


async def test_an_overloaded_front_is_tried_again_and_a_wrong_one_is_not() -> None:
    """The answer to the handshake decides as a close code does: 503 passes, 404 does not."""
    answers = [http.HTTPStatus.SERVICE_UNAVAILABLE, None, http.HTTPStatus.NOT_FOUND]

    def answer(socket: ServerConnection, request: Request) -> Response | None:
        status = answers.pop(0)
        return None if status is None else socket.respond(status, "")

    async def script(peer: Peer) -> None:
        await peer.welcome()
        peer.drop()

    async with scripted(script, process_request=answer) as url, client_of(url) as client:
        with pytest.raises(Disconnected, match="HTTP 404"):
            await take(client, 1)

    assert answers == []


async def test_a_server_that_is_not_there_is_told_in_time() -> None:
    """Entering tries again for as long as it was given, and then says what was wrong."""
    async with scripted() as url:
        pass

    with pytest.raises(Unreachable, match="no connection"):
        await client_of(url, open_timeout=0.1).__aenter__()


# Receiving


async def test_a_jump_makes_the_client_ask_again() -> None:
    """A position left out is counted, nothing is applied past it, and resuming brings it."""

    async def before(peer: Peer) -> None:
        await peer.welcome()
        await peer.happen("e", 1)
        await peer.happen("e", 3)
        await peer.stay()

    async def after(peer: Peer) -> None:
        assert (await peer.welcome())["cursor"] == "k.e1.s0.be0.bs0.r0"
        await peer.happen("e", 2, 3)
        await peer.stay()

    async with scripted(before, after) as url, client_of(url) as client:
        assert positions(await take(client, 3)) == [1, 2, 3]
        assert client.stats.order_violations == 1


async def test_acknowledgements_come_in_company_in_order_and_after_the_store() -> None:
    """One frame for 64 events or 50 ms, always higher than the last, never above what is stored."""
    store, acks = MemoryStore(), list[int]()

    async def script(peer: Peer) -> None:
        await peer.welcome()
        for position in range(1, 301):
            await peer.happen("s", position)
        while not acks or acks[-1] < 300:
            acks.append((await peer.expect("ack"))["ack"]["s"])
            assert store.cursor is not None
            assert acks[-1] <= store.cursor.at("s")
        await peer.stay()

    async with scripted(script) as url, client_of(url, store=store) as client:
        started = asyncio.get_running_loop().time()
        await wait_until(lambda: acks[-1:] == [300])
        elapsed = asyncio.get_running_loop().time() - started
        assert client.stats.acks == len(acks)

    assert acks == sorted(set(acks))
    assert len(acks) <= 300 // 64 + elapsed / 0.05 + 1


async def test_an_application_may_acknowledge_itself() -> None:
    """Without auto_ack nothing is acknowledged but what it says, and nothing above what was applied."""

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.happen("s", 1, 2, 3)
        await peer.expect_ack({"s": 2})
        assert peer.acks == [{"s": 2}]
        await peer.stay()

    async with scripted(script) as url, client_of(url, auto_ack=False) as client:
        await take(client, 3)
        with pytest.raises(ValueError, match="not applied"):
            client.ack({"s": 4})
        client.ack({"s": 2})
        await wait_until(lambda: client.stats.acks == 1)


async def test_an_ephemeral_client_acknowledges_nothing() -> None:
    """Without a device id there is nothing to move."""

    async def script(peer: Peer) -> None:
        assert "device" not in await peer.welcome()
        await peer.happen("s", 1)
        await peer.stay()
        assert peer.acks == []

    async with scripted(script) as url, client_of(url, device_id=None) as client:
        assert positions(await take(client, 1)) == [1]


async def test_closing_says_what_is_still_to_be_acknowledged() -> None:
    """The last acknowledgement does not wait for company that will not come."""
    peers: list[Peer] = []

    async def script(peer: Peer) -> None:
        peers.append(peer)
        await peer.welcome()
        await peer.happen("s", 1)
        await peer.stay()

    async with scripted(script) as url, client_of(url) as client:
        await take(client, 1)

    assert peers[0].acks == [{"s": 1}]


async def test_a_slow_application_slows_the_socket() -> None:
    """When the queue is full nothing more is read or stored, and once it is taken from all comes in order."""
    is_stuck = asyncio.Event()
    text = "x" * 100_000

    async def script(peer: Peer) -> None:
        await peer.welcome()
        for position in range(1, 301):
            sending = asyncio.ensure_future(peer.happen("s", position, text=text))  # noqa: TID251  shielded below
            try:
                async with asyncio.timeout(0.3):
                    await asyncio.shield(sending)
            except TimeoutError:
                is_stuck.set()
                await sending
        await peer.stay()

    async with scripted(script) as url, client_of(url, queue_size=4) as client:
        await asyncio.wait_for(is_stuck.wait(), 10)
        assert client.stats.events == 4

        assert positions(await take(client, 300)) == list(range(1, 301))


async def test_an_application_may_send_from_its_event_loop() -> None:
    """Awaiting an answer while the queue is full does not stop the reader that brings the answer."""

    async def script(peer: Peer) -> None:
        await peer.welcome()
        for position in range(1, 11):
            await peer.happen("s", position)
        for seq in range(1, 11):
            await peer.accept(await peer.expect("send"), seq)
        await peer.stay()

    async with scripted(script) as url, client_of(url, queue_size=1) as client:
        answers = []
        async for event in client.events():
            answers.append((await client.send(to_user="bob", text="echo")).seq)
            if event.position == 10:
                break

    assert answers == list(range(1, 11))


async def test_what_comes_while_the_client_is_far_behind_is_fetched_again() -> None:
    """Past a multiple of the queue events are passed over, unstored, and asked for when there is room."""

    async def before(peer: Peer) -> None:
        await peer.welcome()
        send = await peer.expect("send")
        for position in range(1, 41):
            await peer.happen("s", position)
        await peer.accept(send)
        await peer.stay()

    async def after(peer: Peer) -> None:
        resumed = Cursor.parse((await peer.welcome())["cursor"]).at("s")
        assert resumed < 40
        await peer.happen("s", *range(resumed + 1, 41))
        await peer.stay()

    async with scripted(before, after) as url, client_of(url, queue_size=1) as client:
        await client.send(to_user="bob", text="hi")
        assert positions(await take(client, 40)) == list(range(1, 41))
        assert client.stats.shed > 0
        assert client.stats.order_violations == 0


async def test_raw_frames_are_seen_before_anything_else() -> None:
    """A test can look at the order on the wire, duplicates and unknown frames included."""
    raw: list[str] = []

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.tell({"novelty": 1})
        await peer.happen("s", 1)
        await peer.happen("s", 1)
        await peer.happen("s", 2)
        await peer.stay()

    async with scripted(script) as url, client_of(url, on_frame=raw.append) as client:
        await take(client, 2)

    frames = [json.loads(text) for text in raw]
    assert [[event["pos"] for event in frame["events"]] for frame in frames if "events" in frame] == [[1], [1], [2]]
    assert client.stats.frames == len(raw) == 5


async def test_broadcasts_may_jump_and_are_applied_once() -> None:
    """A device sees only the broadcasts it subscribed to: what is above applies, what is not above is dropped."""

    async def before(peer: Peer) -> None:
        await peer.welcome("k.e0.s0.be3.bs88.r0")
        await peer.happen("be", 4, 9)
        await peer.happen("bs", 88, 90, 1000)
        await peer.expect_ack({"be": 9, "bs": 1000})
        peer.drop()

    async def after(peer: Peer) -> None:
        assert (await peer.welcome())["cursor"] == "k.e0.s0.be9.bs1000.r0"
        await peer.happen("be", 9, 10)
        await peer.happen("bs", 90, 1000, 1500)
        await peer.stay()

    async with scripted(before, after) as url, client_of(url) as client:
        events = await take(client, 6)
        assert [(event.source, event.position) for event in events] == [
            ("be", 4), ("be", 9), ("bs", 90), ("bs", 1000), ("be", 10), ("bs", 1500),
        ]  # fmt: skip
        assert (client.stats.order_violations, client.stats.duplicates) == (0, 4)


async def change(peer: Peer, position: int, type_: str, **fields: Any) -> None:
    message = {"id": "m1", "conversation_id": "c", "seq": 1, "gone": None, "edited_at": None, **fields}
    await peer.tell({"source": "s", "events": [{"pos": position, "type": type_, "message": message}]})


@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_an_edit_and_a_deletion_replace_the_message(kind: str, tmp_path: Path) -> None:
    """Each is an event of its own, and an upsert by the message's id: one row stays, as the message is now."""

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await change(peer, 1, "message", content={"type": "text", "text": "hullo"})
        await change(peer, 2, "message.edited", content={"type": "text", "text": "hello"}, edited_at="2026-11-24")
        await change(peer, 3, "message.deleted", content=None, gone="deleted")
        await peer.expect_ack({"s": 3})
        await peer.stay()

    memory = MemoryStore()
    async with SqliteStore(tmp_path / "c.db") as file, scripted(script) as url:
        async with client_of(url, store=memory if kind == "memory" else file) as client:
            events = await take(client, 3)
        kept = list(memory.messages.values()) if kind == "memory" else await file.messages()

    assert [event.type for event in events] == ["message", "message.edited", "message.deleted"]
    assert [event.payload["content"] for event in events[:2]] == [
        {"type": "text", "text": "hullo"},
        {"type": "text", "text": "hello"},
    ]
    assert [(message["id"], message["content"], message["gone"]) for message in kept] == [("m1", None, "deleted")]


async def test_ephemeral_news_can_go_to_a_callback() -> None:
    """With a callback typing and presence stay out of the events, and take no room among them."""
    told: list[Event] = []

    async def script(peer: Peer) -> None:
        await peer.welcome()
        assert (await peer.expect("typing")) == {"typing": {"conversation_id": "c"}}, "a command without an answer"
        await peer.tell(
            {
                "ephemeral": [
                    {"type": "typing", "conversation_id": "c", "user": "bob"},
                    {"type": "presence", "user": "bob", "online": False},
                ]
            }
        )
        await peer.happen("s", 1)
        await peer.stay()

    async with scripted(script) as url, client_of(url, on_ephemeral=told.append) as client:
        await client.typing("c")
        assert positions(await take(client, 1)) == [1]

    assert [(event.type, dict(event.payload)) for event in told] == [
        ("typing", {"conversation_id": "c", "user": "bob"}),
        ("presence", {"user": "bob", "online": False}),
    ]


async def test_a_watch_is_answered_and_taken_along_to_the_next_connection() -> None:
    """The server forgets whom a lost connection watched; the client says it again and tells what it learns."""
    told: list[Event] = []

    async def answer(peer: Peer, **online: bool) -> None:
        command = await peer.expect("presence")
        assert command["presence"] == {"watch": list(online)}
        users = [{"user": user, "online": is_online} for user, is_online in online.items()]
        await peer.tell({"id": command["id"], "presence": {"users": users}})

    async def before(peer: Peer) -> None:
        await peer.welcome()
        await answer(peer, bob=True, eve=False)
        peer.drop()

    async def after(peer: Peer) -> None:
        await peer.welcome()
        await answer(peer, bob=False, eve=False)
        await peer.stay()

    async with scripted(before, after) as url, client_of(url, on_ephemeral=told.append) as client:
        assert await client.watch_presence(["bob", "eve", "bob"]) == {"bob": True, "eve": False}
        await wait_until(lambda: len(told) == 2)

    assert [(event.type, dict(event.payload)) for event in told] == [
        ("presence", {"user": "bob", "online": False}),
        ("presence", {"user": "eve", "online": False}),
    ]


async def test_a_refused_watch_leaves_the_one_before() -> None:
    """What the server would refuse again is not said again on the next connection."""

    async def before(peer: Peer) -> None:
        await peer.welcome()
        command = await peer.expect("presence")
        await peer.tell({"id": command["id"], "presence": {"users": [{"user": "bob", "online": True}]}})
        await peer.refuse(await peer.expect("presence"), "bad_request")
        await peer.happen("s", 1)
        await peer.expect_ack({"s": 1})
        peer.drop()

    async def after(peer: Peer) -> None:
        await peer.welcome()
        command = await peer.expect("presence")
        assert command["presence"] == {"watch": ["bob"]}
        await peer.tell({"id": command["id"], "presence": {"users": [{"user": "bob", "online": False}]}})
        await peer.stay()

    told: list[Event] = []
    async with scripted(before, after) as url, client_of(url, on_ephemeral=told.append) as client:
        await client.watch_presence(["bob"])
        with pytest.raises(CommandRejected, match="bad_request"):
            await client.watch_presence(["a/b"])
        await wait_until(lambda: len(told) == 1)
        with pytest.raises(TypeError, match="list"):
            await client.watch_presence("bob")


async def test_a_ping_is_answered_and_ephemeral_news_is_passed_on() -> None:
    """A pong is the sign of life; typing has no position and is not acknowledged."""

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.tell({"ping": {}})
        assert await peer.expect("pong") == {"pong": {}}
        await peer.tell({"ephemeral": [{"type": "typing", "user": "bob"}]})
        await peer.stay()
        assert peer.acks == []

    async with scripted(script) as url, client_of(url) as client:
        (event,) = await take(client, 1)
        assert (event.type, event.is_ephemeral) == ("typing", True)


@pytest.mark.parametrize("raw", ["not json", "[]", '{"source":"s","events":[{"type":"message"}]}'])
async def test_a_bad_frame_ends_its_connection_and_not_the_client(raw: str) -> None:
    """What cannot be read cannot be skipped, so the client asks again."""

    async def before(peer: Peer) -> None:
        await peer.welcome()
        await peer.socket.send(raw)
        await peer.stay()

    async def after(peer: Peer) -> None:
        await peer.welcome()
        await peer.happen("s", 1)
        await peer.stay()

    async with scripted(before, after) as url, client_of(url) as client:
        assert positions(await take(client, 1)) == [1]
        assert client.stats.bad_frames == 1


async def test_an_error_of_the_store_ends_the_client() -> None:
    """What cannot be stored must not be acknowledged; the application learns what is wrong."""

    class FullStore(MemoryStore):
        async def apply(self, events: Any, cursor: Cursor) -> None:
            if events:
                raise OSError("disk full")

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.happen("s", 1)
        await peer.stay()
        assert peer.acks == []

    async with scripted(script) as url, client_of(url, store=FullStore()) as client:
        with pytest.raises(OSError, match="disk full"):
            await take(client, 1)


# Sending


async def test_a_send_is_answered() -> None:
    """The answer says where the message is."""

    async def script(peer: Peer) -> None:
        await peer.welcome()
        send = await peer.expect("send")
        assert send["send"] == {
            "to": {"user": "bob"},
            "client_id": "x",
            "content": {"type": "text", "text": "hi"},
            "priority": "high",
        }
        await peer.accept(send, 7)
        await peer.stay()

    async with scripted(script) as url, client_of(url) as client:
        result = await client.send(to_user="bob", text="hi", client_id="x", priority="high")

    assert (result.message_id, result.conversation_id, result.seq, result.duplicate) == ("of-x", "c", 7, False)


async def test_a_send_without_an_answer_goes_again_under_its_client_id() -> None:
    """The connection dropped before the answer; the server tells that it had the message already."""
    seen: list[str] = []

    async def before(peer: Peer) -> None:
        await peer.welcome()
        seen.append((await peer.expect("send"))["send"]["client_id"])
        peer.drop()

    async def after(peer: Peer) -> None:
        await peer.welcome()
        send = await peer.expect("send")
        seen.append(send["send"]["client_id"])
        await peer.accept(send, duplicate=True)
        await peer.stay()

    async with scripted(before, after) as url, client_of(url) as client:
        result = await client.send(to_user="bob", text="hi")
        assert client.stats.retries == 1

    assert result.duplicate
    assert seen[0] == seen[1]


async def test_unanswered_sends_go_again_in_order_and_before_new_ones() -> None:
    """After coming back the old ones are first, as they were sent, whoever they are to."""
    is_dropped = asyncio.Event()

    async def before(peer: Peer) -> None:
        await peer.welcome()
        assert [(await peer.expect("send"))["send"]["client_id"] for _ in range(3)] == ["1", "2", "3"]
        peer.drop()
        is_dropped.set()

    async def after(peer: Peer) -> None:
        await peer.welcome()
        sends = [await peer.expect("send") for _ in range(4)]
        assert [send["send"]["client_id"] for send in sends] == ["1", "2", "3", "4"]
        for send in sends:
            await peer.accept(send)
        await peer.stay()

    async with scripted(before, after) as url, client_of(url, sends_in_flight=3) as client:
        users = {"1": "bob", "2": "eve", "3": "bob"}
        sendings = [client.send_nowait(to_user=user, text="hi", client_id=name) for name, user in users.items()]
        await is_dropped.wait()
        sendings.append(client.send_nowait(to_user="ann", text="hi", client_id="4"))
        assert [result.message_id for result in await asyncio.gather(*sendings)] == ["of-1", "of-2", "of-3", "of-4"]


async def test_a_send_put_off_is_repeated_before_what_is_behind_it() -> None:
    """The order of a conversation holds through retryable errors; the server's wait is kept."""
    times: list[float] = []

    async def script(peer: Peer) -> None:
        await peer.welcome()
        first = await peer.expect("send")
        times.append(asyncio.get_running_loop().time())
        await peer.refuse(first, "rate_limited", retryable=True, retry_after_ms=80)
        for name in ("1", "2"):
            send = await peer.expect("send")
            times.append(asyncio.get_running_loop().time())
            assert send["send"]["client_id"] == name
            await peer.accept(send)
        await peer.stay()

    async with scripted(script) as url, client_of(url) as client:
        await asyncio.gather(*(client.send(to_user="bob", text="hi", client_id=name) for name in ("1", "2")))

    assert times[1] - times[0] >= 0.08


async def test_a_send_refused_for_good_raises() -> None:
    """The caller learns the code and the field, and the next send goes its way."""

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.refuse(await peer.expect("send"), "blocked")
        await peer.accept(await peer.expect("send"))
        await peer.stay()

    async with scripted(script) as url, client_of(url) as client:
        with pytest.raises(SendRejected) as refusal:
            await client.send(to_user="bob", text="hi")
        await client.send(to_user="bob", text="hi")

    assert (refusal.value.code, refusal.value.message, refusal.value.field) == ("blocked", "no", "to")


async def test_the_outbox_is_bounded() -> None:
    """`send_nowait` refuses when it is full, `send` waits for its turn, and closing fails what is left."""

    async def script(peer: Peer) -> None:
        await peer.welcome()
        held = await peer.expect("send")
        await peer.expect("typing")
        await peer.accept(held)
        assert (await peer.expect("send"))["send"]["client_id"] == "2"
        await peer.stay()

    async with scripted(script) as url:
        async with client_of(url, outbox_size=1) as client, asyncio.TaskGroup() as group:
            first = client.send_nowait(to_user="bob", text="hi")
            with pytest.raises(OutboxFull):
                await client.send_nowait(to_user="bob", text="hi")
            await wait_until(lambda: client.stats.sends == 1)
            second = group.create_task(expect_closed(client))
            await client.typing("c")
            await first
            await wait_until(lambda: client.stats.sends == 2)
            group.create_task(client.close())
        assert second.done()
        with pytest.raises(ClientClosed):
            await client.send(to_user="bob", text="late")


async def expect_closed(client: AldisClient) -> None:
    with pytest.raises(ClientClosed):
        await client.send(to_user="bob", text="hi", client_id="2")


# All of it at once


@pytest.mark.parametrize("seed", range(5))
async def test_a_line_that_drops_at_random_loses_and_repeats_nothing(seed: int) -> None:
    """Each message comes and goes exactly once and in order, wherever the line is cut."""
    random, total = Random(seed), 60
    accepted: list[str] = []

    def commit(send: Frame) -> int:
        name = send["send"]["client_id"]
        accepted.extend([] if name in accepted else [name])
        return accepted.index(name) + 1

    async def greet(peer: Peer) -> int:
        resumed = (await peer.welcome()).get("cursor", START)
        return Cursor.parse(resumed).at("s")

    async def flaky(peer: Peer) -> None:
        position = max(0, await greet(peer) - random.randrange(5))
        for _ in range(random.randrange(12)):
            position = min(position + 1, total)
            await peer.happen("s", position)
            if len(accepted) < total and random.random() < 0.7:
                send = await peer.expect("send")
                seq = commit(send)
                if random.random() < 0.3:
                    break
                await peer.accept(send, seq)
        peer.drop()

    async def steady(peer: Peer) -> None:
        await peer.happen("s", *range(await greet(peer) + 1, total + 1))
        while True:
            send = await peer.expect("send")
            await peer.accept(send, commit(send))

    names = [str(number) for number in range(total)]
    async with scripted(*[flaky] * 15, steady) as url, client_of(url) as client:
        sendings = [client.send_nowait(to_user="bob", text="hi", client_id=name) for name in names]
        assert positions(await take(client, total)) == list(range(1, total + 1))
        assert [result.seq for result in await asyncio.gather(*sendings)] == list(range(1, total + 1))

    assert accepted == names


# Other commands


async def test_a_command_is_repeated_on_the_next_connection() -> None:
    """Reading is idempotent, so a lost answer is asked for again; a refusal is told."""

    async def before(peer: Peer) -> None:
        await peer.welcome()
        assert (await peer.expect("read"))["read"] == {"conversation_id": "c", "seq": 7}
        peer.drop()

    async def after(peer: Peer) -> None:
        await peer.welcome()
        command = await peer.expect("read")
        await peer.tell({"id": command["id"], "read": {"unread": 0, "badge": 2}})
        await peer.refuse(await peer.expect("read"), "unavailable", retryable=True)
        await peer.refuse(await peer.expect("read"), "not_found")
        await peer.stay()

    async with scripted(before, after) as url, client_of(url) as client:
        assert await client.read("c", 7) == {"unread": 0, "badge": 2}
        with pytest.raises(CommandRejected, match="not_found"):
            await client.read("d", 7)


async def test_a_refreshed_token_serves_the_next_connection() -> None:
    """The socket lives on with the new token, and so does what comes after it."""

    async def before(peer: Peer) -> None:
        await peer.welcome()
        command = await peer.expect("refresh")
        assert command["refresh"] == {"token": "new"}
        await peer.tell({"id": command["id"], "refresh": {"expires_at": "2026-01-02T03:04:05.678Z"}})
        peer.drop()

    async def after(peer: Peer) -> None:
        assert (await peer.welcome())["token"] == "new"
        await peer.stay()

    async with scripted(before, after) as url, client_of(url) as client:
        assert await client.refresh("new") == {"expires_at": "2026-01-02T03:04:05.678Z"}
        await wait_until(lambda: client.stats.reconnects == 1)


async def test_a_closed_client_leaves_no_task() -> None:
    """Everything that was started has ended when the context is left, also by an error."""
    before = asyncio.all_tasks()

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.stay()

    async with scripted(script) as url:
        with pytest.raises(KeyError):
            async with client_of(url):
                raise KeyError
        assert not [task for task in asyncio.all_tasks() - before if task.get_name().startswith("aldis-client")]


async def test_cancelling_is_passed_on() -> None:
    """A reader that is cancelled is cancelled, and the client closes in order."""

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.happen("s", 1)
        await peer.stay()
        assert peer.socket.close_code == 1000

    async def listen(url: str) -> None:
        async with client_of(url) as client:
            async for _ in client.events():
                heard.set()

    heard = asyncio.Event()
    async with scripted(script) as url, asyncio.TaskGroup() as group:
        listening = group.create_task(listen(url))
        await heard.wait()
        listening.cancel()

    assert listening.cancelled()
