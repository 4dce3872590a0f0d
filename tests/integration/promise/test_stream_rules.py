"""The rules of sources and cursors, one by one, on a real server."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from aldis.adapters.memory.clock import SystemClock
from aldis.adapters.sql.store import SqlStore, open_sql_store
from aldis.domain.content import text_content
from aldis.domain.ids import UserId
from aldis.services.compose import Draft, chat
from aldis.services.store_group import store_group
from aldis.services.sweep import retire
from integration.promise.tab import Tab, open_tab
from integration.promise.wire import format_places, parse_places
from served import Server, served

STATE_LOST = 4005
REPLACED = 4409
SMALL = 16 * 1024  # bytes that a slow reader takes in
LONG = 20_000  # bytes, so that each message is a frame
HEALED_SECONDS = 5.0
FOREIGN_EPOCH = "0badbeef"
FAR = 100_000  # positions, more than any test sends


class ClockAt:
    """A clock that stands."""

    def __init__(self, now: int) -> None:
        self.now = now

    def now_ms(self) -> int:
        return self.now

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here waits")


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async with served(tmp_path_factory.mktemp("rules"), open_throttle=True) as server:
        yield server


@pytest.fixture
def names(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Two users of each test's own."""
    test = re.sub("[^a-z]+", "-", request.node.name)[:100]
    return f"alice.{test}", f"bob.{test}"


@asynccontextmanager
async def store_beside(server: Server) -> AsyncGenerator[SqlStore]:
    """The server's database, from this process: what is done there rings no doorbell."""
    async with open_sql_store(server.settings().database_url, now_ms=SystemClock().now_ms()) as store:
        yield store


async def trim(server: Server, before_ms: int) -> None:
    """Let retention take away what is older."""
    async with store_beside(server) as store:
        while await retire(store=store, clock=ClockAt(before_ms), retention_ms=0):
            pass  # it takes some at a time


def rest(server: Server, user: str) -> httpx2.AsyncClient:
    headers = {"authorization": f"Bearer {server.token(user)}"}
    return httpx2.AsyncClient(base_url=server.url, headers=headers, trust_env=False, timeout=10)


async def send_some(tab: Tab, to: str, count: int, *, start: int = 0) -> list[str]:
    """Send messages one after the other; gives their ids."""
    return [(await tab.send(to, f"m{number}"))["message_id"] for number in range(start, start + count)]


def ids(messages: list[dict[str, Any]]) -> list[str]:
    return [message["id"] for message in messages]


# Where a device starts


async def test_a_first_device_finds_what_waited_and_a_second_starts_at_the_heads(
    server: Server, names: tuple[str, str]
) -> None:
    """A user's first device ever starts at the oldest retained event, later ones hear what comes after them."""
    alice, bob = names
    async with open_tab(server, alice) as sender:
        waited = await send_some(sender, bob, 3)
        async with open_tab(server, bob, "first") as first:
            assert ids(await first.read_messages(3)) == waited
            async with open_tab(server, bob, "second") as second:
                [live] = await send_some(sender, bob, 1, start=3)

                assert ids(await first.read_messages(4)) == [*waited, live]
                assert ids(await second.read_messages(1)) == [live]

    assert (first.recovered, first.places["s"]) == (True, 0)
    assert (second.recovered, second.places["s"]) == (True, 3)


async def test_a_known_device_without_a_cursor_goes_on_from_what_it_acknowledged(
    server: Server, names: tuple[str, str]
) -> None:
    """What was not acknowledged comes again; what was does not."""
    alice, bob = names
    async with open_tab(server, alice) as sender:
        sent = await send_some(sender, bob, 4)
    async with open_tab(server, bob) as tab:
        await tab.read_messages(4)
        await tab.write({"ack": {"s": 2}})
        await tab.settle()

    async with open_tab(server, bob) as again:
        assert ids(await again.read_messages(2)) == sent[2:]

    assert again.recovered
    assert [event["pos"] for event in again.events("s")] == [3, 4]


async def test_resuming_with_a_cursor_acknowledges_nothing(server: Server, names: tuple[str, str]) -> None:
    """A cursor says where this connection goes on from, not what was kept."""
    alice, bob = names
    async with open_tab(server, alice) as sender:
        sent = await send_some(sender, bob, 3)
        async with open_tab(server, bob) as tab:
            await tab.read_messages(3)
        async with open_tab(
            server, bob, cursor=format_places(parse_places(tab.cursor)[0], {**tab.places, "s": 3})
        ) as on:
            sent += await send_some(sender, bob, 1, start=3)
            assert ids(await on.read_messages(1)) == sent[3:]

    async with open_tab(server, bob) as again:
        assert ids(await again.read_messages(4)) == sent


# When the server cannot go on


async def unusable_cursor(why: str, server: Server, tab: Tab) -> str:
    """The cursor of a tab that has read everything, made unusable."""
    epoch, places = parse_places(tab.cursor)
    head = {**places, "s": tab.events("s")[-1]["pos"]}
    if why == "another epoch":
        return format_places(FOREIGN_EPOCH, head)
    if why == "above the head":
        return format_places(epoch, {**head, "s": head["s"] + FAR})
    await trim(server, SystemClock().now_ms() + 1000)
    return tab.cursor


@pytest.mark.parametrize("why", ["another epoch", "above the head", "below what is retained"])
async def test_a_reload_in_the_middle_of_traffic_loses_nothing(
    why: str, server: Server, names: tuple[str, str]
) -> None:
    """`recovered: false` brings no old event; the first page's cursor, the rows and what follows it are everything."""
    alice, bob = names
    async with open_tab(server, alice) as sender, open_tab(server, bob) as tab, rest(server, bob) as http:
        sent = await send_some(sender, bob, 20)
        await tab.read_messages(20)
        cursor = await unusable_cursor(why, server, tab)

        sending = asyncio.gather(send_some(sender, bob, 400, start=20))
        async with open_tab(server, bob, cursor=cursor) as lost:
            await lost.read_messages(1)
            page = (await http.get("/v1/conversations")).json()
            async with open_tab(server, bob, cursor=page["cursor"]) as back:
                rows = await read_history(http, page["items"][0]["id"])
                sent += (await sending)[0]
                await back.read(lambda: sent[-1] in ids(back.messages()))

    assert (lost.recovered, back.recovered) == (False, True)
    assert lost.events("s")[0]["pos"] == lost.places["s"] + 1
    assert [event["pos"] for event in back.events("s")] == list(range(back.places["s"] + 1, 421))
    assert set(ids(rows)) | set(ids(back.messages())) == set(sent)
    assert len(back.messages()) < len(sent), "the reload was to be in the middle"


async def read_history(http: httpx2.AsyncClient, conversation: str) -> list[dict[str, Any]]:
    """All pages of a conversation, newest first."""
    rows: list[dict[str, Any]] = []
    place: dict[str, str] = {}
    while True:
        page = (await http.get(f"/v1/conversations/{conversation}/messages", params={"limit": "50", **place})).json()
        rows += page["items"]
        if page["next"] is None:
            return rows
        place = {"cursor": page["next"]}


async def test_what_retention_took_is_never_passed_over_in_silence(server: Server, names: tuple[str, str]) -> None:
    """A position below what is retained cannot be resumed; one at its edge can; a new user's device starts there."""
    alice, bob = names
    async with open_tab(server, alice) as sender:
        async with open_tab(server, bob, "old"):
            pass
        await send_some(sender, bob, 3)
        edge = SystemClock().now_ms() + 1
        while SystemClock().now_ms() <= edge:
            await asyncio.sleep(0.001)
        kept = await send_some(sender, bob, 2, start=3)
        await trim(server, edge)
        epoch, places = parse_places(sender.cursor)

        async with (
            open_tab(server, bob, "old") as old,
            open_tab(server, bob, "below", cursor=format_places(epoch, {**places, "s": 2, "r": 0})) as below,
            open_tab(server, bob, "at", cursor=format_places(epoch, {**places, "s": 3, "r": 0})) as at,
        ):
            assert ids(await at.read_messages(2)) == kept

    assert (old.recovered, old.places["s"]) == (False, 5)
    assert (below.recovered, below.places["s"]) == (False, 5)
    assert (at.recovered, at.places["s"]) == (True, 3)


async def test_retention_never_makes_a_hole_under_a_slow_reader(server: Server, names: tuple[str, str]) -> None:
    """When what was to be fed next is gone, the connection ends with 4005, and coming back says `recovered: false`."""
    alice, bob = names
    async with open_tab(server, alice) as sender, open_tab(server, bob, window=SMALL) as tab:
        for number in range(100):
            await sender.submit(bob, f"m{number}", padding=LONG)
        await sender.read(lambda: len(sender.answers("send")) == 100)
        await trim(server, SystemClock().now_ms() + 1000)
        code = await tab.read_close()
        positions = [event["pos"] for event in tab.events("s")]
    last = format_places(parse_places(tab.cursor)[0], {**tab.places, "s": positions[-1]})
    async with open_tab(server, bob, cursor=last) as back:
        pass

    assert positions == list(range(1, len(positions) + 1))
    assert len(positions) < 100, "the reader was not slow"
    assert code == STATE_LOST
    assert (back.recovered, back.places["s"]) == (False, 100)


# Devices and acknowledgements


async def test_the_older_of_two_tabs_of_one_device_is_replaced(server: Server, names: tuple[str, str]) -> None:
    """The same device id twice: the older gets 4409 and is not to come back, the newer one hears everything."""
    alice, bob = names
    async with (
        open_tab(server, alice) as sender,
        open_tab(server, bob, "phone") as older,
        open_tab(server, bob, "phone") as newer,
    ):
        assert await older.read_close() == REPLACED
        goodbye = older.frames[-1]["disconnect"]
        sent = await send_some(sender, bob, 2)

        assert (goodbye["code"], goodbye["reconnect"]) == (REPLACED, False)
        assert ids(await newer.read_messages(2)) == sent
        assert older.messages() == []


async def test_an_acknowledgement_that_runs_ahead_is_refused_and_moves_nothing(
    server: Server, names: tuple[str, str]
) -> None:
    """An ack above what was sent on this connection is `bad_cursor`, also for the other sources named in it."""
    alice, bob = names
    async with open_tab(server, alice) as sender:
        sent = await send_some(sender, bob, 2)
        await sender.send(bob, "urgent", priority="high")
    async with open_tab(server, bob) as tab:
        await tab.read_messages(3)
        await tab.write({"ack": {"e": 1, "s": 3}})
        await tab.settle()
        [refused] = [frame["error"] for frame in tab.frames if "error" in frame]

    async with open_tab(server, bob) as again:
        await again.read_messages(3)

    assert refused["code"] == "bad_cursor"
    assert refused["field"] == "ack.s"
    assert ids(again.messages("s")) == sent
    assert [event["pos"] for event in again.events("e")] == [1]


async def test_receipts_tell_how_far_each_lane_was_delivered(server: Server, names: tuple[str, str]) -> None:
    """A receipt has the highest conversation seq of each lane that the recipient's devices have acknowledged."""
    alice, bob = names
    async with open_tab(server, alice) as sender, open_tab(server, bob) as tab:
        for number, priority in enumerate(("normal", "high", "normal", "high", "normal")):
            await sender.send(bob, f"m{number}", priority=priority)
        await tab.read_messages(5)

        def delivered() -> list[tuple[int, int]]:
            receipts = [event["receipt"] for event in sender.events("r") if event["type"] == "receipt"]
            assert {receipt["user"] for receipt in receipts} <= {bob}
            return [(r["delivered"]["express"], r["delivered"]["standard"]) for r in receipts]

        await tab.write({"ack": {"e": 2}})
        await sender.read(lambda: (4, 0) in delivered())
        await tab.write({"ack": {"s": 2}})
        await sender.read(lambda: (4, 3) in delivered())
        await tab.write({"ack": {"s": 3}})
        await sender.read(lambda: (4, 5) in delivered())

    assert delivered() == sorted(delivered()), "a receipt went back"


# Sending


async def test_pipelined_sends_of_one_connection_keep_their_order(server: Server, names: tuple[str, str]) -> None:
    """500 sends written at once get seqs in the order of their frames, across both lanes."""
    alice, bob = names
    async with open_tab(server, alice) as sender, open_tab(server, bob) as tab:
        for number in range(500):
            await sender.submit(bob, f"m{number}", priority="high" if number % 3 == 0 else "normal")
        await sender.read(lambda: len(sender.answers("send")) == 500)
        messages = await tab.read_messages(500)

    answers = [frame for frame in sender.frames if "send" in frame]
    assert {frame["id"]: frame["send"]["seq"] for frame in answers} == {number: number for number in range(1, 501)}
    assert {m["client_id"]: m["seq"] for m in messages} == {f"m{number}": number + 1 for number in range(500)}
    for lane in ("e", "s"):
        seqs = [message["seq"] for message in tab.messages(lane)]
        assert seqs == sorted(seqs)


async def test_a_client_id_sent_fifty_times_at_once_is_one_message(server: Server, names: tuple[str, str]) -> None:
    """Whatever connections they come by, all get the one answer, and the recipient gets one message."""
    alice, bob = names
    async with (
        open_tab(server, bob) as tab,
        open_tab(server, alice, "d1") as d1,
        open_tab(server, alice, "d2") as d2,
        open_tab(server, alice, "d3") as d3,
        open_tab(server, alice, "d4") as d4,
        open_tab(server, alice, None) as nameless,
    ):
        senders = [d1, d2, d3, d4, nameless]
        await asyncio.gather(*(sender.submit(bob, "the one") for _ in range(10) for sender in senders))
        for sender in senders:
            await sender.read(lambda sender=sender: len(sender.answers("send")) == 10)  # type: ignore[misc]
        answers = [answer for sender in senders for answer in sender.answers("send")]
        last = await d1.send(bob, "another")
        messages = await tab.read_messages(2)

    assert len({(a["message_id"], a["conversation_id"], a["seq"], a["created_at"]) for a in answers}) == 1
    assert [a["duplicate"] for a in answers].count(False) == 1
    assert ids(messages) == [answers[0]["message_id"], last["message_id"]]
    assert last["seq"] == 2


async def test_all_devices_of_the_sender_get_what_he_sent(server: Server, names: tuple[str, str]) -> None:
    """The sender's other devices, and the sending one, have the message in their own source."""
    alice, bob = names
    async with open_tab(server, alice, "phone") as phone, open_tab(server, alice, "desk") as desk:
        sent = await send_some(phone, bob, 3)

        assert ids(await desk.read_messages(3)) == sent
        assert ids(await phone.read_messages(3)) == sent


# A doorbell that nobody hears


async def test_a_lost_doorbell_is_healed_within_five_seconds(server: Server, names: tuple[str, str]) -> None:
    """A message whose ring never came is found by comparing positions; what comes after it does not overtake it."""
    alice, bob = names
    async with open_tab(server, alice), open_tab(server, bob) as tab, store_beside(server) as store:
        started = time.monotonic()
        draft = Draft(content=text_content("unheard"), to_user=bob, client_id="unheard")
        [answer], _ = await store_group(
            [chat(draft, UserId(alice), SystemClock().now_ms())], store=store, now_ms=SystemClock().now_ms()
        )
        [message] = await tab.read_messages(1)

    assert message["id"] == getattr(answer, "message_id", answer)
    assert time.monotonic() - started < HEALED_SECONDS + 1
    assert [event["pos"] for event in tab.events("s")] == [1]


async def test_a_message_after_a_lost_doorbell_brings_both_at_once(server: Server, names: tuple[str, str]) -> None:
    """A jump in a lane sends the gateway to the store: the lost one comes first."""
    alice, bob = names
    async with open_tab(server, alice) as sender, open_tab(server, bob) as tab, store_beside(server) as store:
        draft = Draft(content=text_content("unheard"), to_user=bob, client_id="unheard")
        await store_group(
            [chat(draft, UserId(alice), SystemClock().now_ms())], store=store, now_ms=SystemClock().now_ms()
        )
        await sender.send(bob, "heard")

        assert [message["client_id"] for message in await tab.read_messages(2)] == ["unheard", "heard"]

    assert [event["pos"] for event in tab.events("s")] == [1, 2]
