import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aldis.adapters.memory.clock import SystemClock
from aldis.bootstrap import open_admin_store
from aldis.domain.ids import UserId
from aldis.services.apply_channel import apply_channel
from aldis.services.issue_key import issue_key
from aldis.services.store_group import store_group
from aldis.settings import load_settings
from integration.core.commands import chat as chat_command
from integration.gateway.bystanders import bystanders, percentile, told
from integration.gateway.conftest import alarms
from integration.gateway.mutations import encode
from integration.gateway.raw_sockets import PONG, WAIT, Ended, Json, RawSocket, client_frame, raw_socket
from integration.gateway.sockets import chat, connected, new_name, rest, text
from served import Server, served

MIB = 1024 * 1024
WINDOW = 8 * 1024  # bytes that a slow reader's own kernel holds for it
SENDERS = 8
IN_FLIGHT = 20  # unanswered messages of each, so that what is measured is not a queue of their own making
FLOOD = 50_000
WAITING = 100_000
GROUP = 2_000  # messages of one transaction, when they are stored before the server starts
SLOW = 50_000  # bytes a second
URGENT_WITHIN = 2.0  # seconds


class Reader:
    """What has arrived on raw sockets, whose positions must follow each other in each source."""

    def __init__(self) -> None:
        self.at: dict[str, int] = {}
        self.arrived: dict[str, list[str]] = {}
        self.epoch = ""

    async def connect(self, raw: RawSocket, server: Server, user: str) -> None:
        """Connect, going on from what has arrived."""
        cursor = ".".join([self.epoch, *(f"{s}{self.at.get(s, 0)}" for s in ("e", "s", "be", "bs", "r"))])
        more = {"cursor": cursor} if self.epoch else {}
        welcome = await raw.connect(server, user, device={"id": "slow"}, **more)
        self.epoch = welcome["cursor"].split(".")[0]
        assert welcome["recovered"]

    def take_nowait(self, raw: RawSocket) -> int:
        """Take the frames that are there; answer how many there were."""
        frames = 0
        while (frame := raw.frame_nowait()) is not None:
            frames += 1
            said: Json = json.loads(frame.payload)
            assert set(said) <= {"source", "events", "ping", "disconnect"}, said
            for event in said.get("events", ()):
                self._take(said["source"], event)
        return frames

    def _take(self, source: str, event: Json) -> None:
        if source in {"e", "s"}:
            assert event["pos"] == self.at.get(source, 0) + 1, (source, event["pos"], self.at)
            self.arrived.setdefault(source, []).append(event["message"]["content"].get("text", ""))
        self.at[source] = event["pos"]

    async def read_until(self, raw: RawSocket, done: Callable[[], bool]) -> None:
        """Read as fast as one can. Raises `Ended`."""
        while not done():
            if not await raw.fill(256 * 1024):
                raise Ended(None)
            self.take_nowait(raw)

    async def read_slowly(self, raw: RawSocket, per_second: int, done: Callable[[], bool]) -> None:
        """Read no more than so many bytes a second."""
        begun, taken = time.monotonic(), 0
        while not done():
            # The pace itself is what is tested: the bytes that are due by now, then a pause.
            due = int((time.monotonic() - begun) * per_second) - taken
            if due > 0:
                got = await raw.fill(due)
                assert got, "the server has ended the connection"
                taken += got
                self.take_nowait(raw)
            await asyncio.sleep(0.02)


async def pour(server: Server, sender: str, receiver: str, words: list[str], priority: str = "normal") -> None:
    """Send messages in order, a few of them at a time, until all are answered."""
    async with raw_socket() as raw:
        await raw.connect(server, sender)
        for start in range(0, len(words), IN_FLIGHT):
            bodies = [
                {"to": {"user": receiver}, "client_id": f"{n}", "content": text(said), "priority": priority}
                for n, said in enumerate(words[start : start + IN_FLIGHT], start)
            ]
            await raw.write(b"".join(client_frame(encode({"id": n, "send": body})) for n, body in enumerate(bodies)))
            answered = 0
            while answered < len(bodies):
                payload = (await raw.frame()).payload
                assert b'"error"' not in payload[:20], payload
                answered += b'"send":' in payload[:20]


async def flood(server: Server, receiver: str, count: int) -> float:
    """Let several users send to one; how many seconds it took."""
    begun = time.perf_counter()
    async with asyncio.TaskGroup() as senders:
        for number in range(SENDERS):
            words = [f"{number}:{index}" for index in range(count // SENDERS)]
            senders.create_task(pour(server, new_name("sender"), receiver, words))
    return time.perf_counter() - begun


async def closed_with(server: Server, code: int) -> int:
    """How many connections the server has closed with a code."""
    return await counted(server, f'aldis_connections_closed_total{{code="{code}"}}')


async def counted(server: Server, name: str) -> int:
    """One number of the server's metrics; 0 when it has not been counted yet."""
    async with rest(server, "none") as http:
        lines = (await http.get("/metrics")).text.splitlines()
    return next((int(float(line.split()[-1])) for line in lines if line.startswith(f"{name} ")), 0)


async def peak_memory(server: Server, seen: list[int]) -> None:
    """Watch the server's memory for as long as this runs."""
    while True:
        seen.append(server.rss())
        await asyncio.sleep(0.05)


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_reader_that_reads_nothing_costs_nobody_anything_and_misses_nothing(tmp_path: Path) -> None:
    """50,000 messages go to someone who does not read: they wait in the store, not in the server's memory.

    Others talk on meanwhile. When the reader reads again, or comes again, all is there in order.
    """
    async with served(tmp_path, open_throttle=True) as server, bystanders(server) as pair:
        user, reader, memory = new_name("sloth"), Reader(), [server.rss()]
        async with raw_socket(window=WINDOW) as raw, asyncio.TaskGroup() as group:
            await reader.connect(raw, server, user)
            await flood(server, new_name("absent"), FLOOD // 5)
            before, rss = pair.take(), server.rss()
            watch = group.create_task(peak_memory(server, memory))
            seconds = await flood(server, user, FLOOD)
            during = pair.take()
            watch.cancel()
            how = await _read_all(server, reader, raw, user, FLOOD)

        growth = max(memory) - rss
        print(f"\n{FLOOD} messages in {seconds:.1f} s to one who does not read; memory {rss / MIB:.0f} MiB,")
        print(f"  at most {growth / MIB:.1f} MiB more; {how}")
        print(f"bystanders while as much goes to one who is away: {told(before)}")
        print(f"bystanders while it goes to one who does not read: {told(during)}")
        assert growth < 64 * MIB
        assert percentile(during, 0.99) < max(0.1, 3 * percentile(before, 0.99))
        for number in range(SENDERS):
            own = [said for said in reader.arrived["s"] if said.startswith(f"{number}:")]
            assert own == [f"{number}:{index}" for index in range(FLOOD // SENDERS)]
        assert alarms(server) == []


async def _read_all(server: Server, reader: Reader, raw: RawSocket, user: str, count: int) -> str:
    def done() -> bool:
        return reader.at.get("s", 0) >= count

    begun = time.perf_counter()
    try:
        await reader.read_until(raw, done)
    except Ended as ended:
        code = ended.code
    else:
        return f"read on the same socket in {time.perf_counter() - begun:.1f} s"
    assert code in {None, 4002}
    async with raw_socket() as again:
        await reader.connect(again, server, user)
        await reader.read_until(again, done)
    return f"closed with {code}, read after coming again in {time.perf_counter() - begun:.1f} s"


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_an_urgent_message_overtakes_a_hundred_thousand_that_wait(tmp_path: Path) -> None:
    """A reader of 50 KB/s with 100,000 messages waiting gets an urgent one within two seconds.

    Positions follow each other in each source on the raw frames; the server holds little; and once the reader is quick
    again, all the rest arrives, each message once.
    """
    user = UserId(new_name("reader"))
    settings = load_settings(data_dir=tmp_path / "data")
    async with open_admin_store(settings) as store:
        commands = [chat_command(f"{number}", sender=UserId("writer"), to=user) for number in range(WAITING)]
        for start in range(0, WAITING, GROUP):
            await store_group(commands[start : start + GROUP], store=store, now_ms=SystemClock().now_ms())
        await apply_channel({"type": "Notification"}, name="alerts", store=store, clock=SystemClock())
        key = (await issue_key("pager", store=store, clock=SystemClock())).text
    reader = Reader()
    async with served(tmp_path, open_throttle=True) as server, rest(server, key) as http:
        async with asyncio.timeout(WAIT):
            while await counted(server, "aldis_outbox_rows_total") < WAITING / GROUP:
                await asyncio.sleep(0.05)  # until what was stored has been announced, which takes memory of its own
        rss, memory = server.rss(), [server.rss()]
        async with raw_socket(window=WINDOW) as raw, asyncio.TaskGroup() as group:
            await reader.connect(raw, server, user)
            watch = group.create_task(peak_memory(server, memory))
            latencies: list[float] = []
            for number in range(1, 4):
                at = reader.at.get("s", 0)
                await reader.read_slowly(raw, SLOW, lambda at=at: reader.at.get("s", 0) > at + 100)  # type: ignore[misc]
                body = {"to": {"user": user}, "kind": "notification", "channel": "alerts", "priority": "urgent"}
                begun = time.perf_counter()
                answer = group.create_task(http.post("/v1/messages", json={**body, "content": text(f"alert {number}")}))
                await reader.read_slowly(raw, SLOW, lambda number=number: reader.at.get("e", 0) >= number)  # type: ignore[misc]
                latencies.append(time.perf_counter() - begun)
                assert (await answer).status_code == 201
            waited, growth = reader.at["s"], max(memory) - rss
            begun = time.perf_counter()
            await reader.read_until(raw, lambda: reader.at["s"] >= WAITING)
            seconds = time.perf_counter() - begun
            watch.cancel()
        shown = ", ".join(f"{latency * 1000:.0f}" for latency in latencies)
        print(f"\nurgent to a reader of {SLOW // 1000} KB/s with {WAITING - waited} waiting: {shown} ms;")
        print(f"  memory {rss / MIB:.0f} MiB, {growth / MIB:.1f} MiB more; the rest in {seconds:.1f} s at full speed,")
        print(f"  {(max(memory) - rss) / MIB:.1f} MiB more by then")
        assert max(latencies) <= URGENT_WITHIN
        assert growth < 32 * MIB
        assert max(memory) - rss < 64 * MIB
        assert reader.arrived["s"] == [f"{number}" for number in range(WAITING)]
        assert reader.arrived["e"] == ["alert 1", "alert 2", "alert 3"]
        assert alarms(server) == []


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_express_that_nobody_reads_ends_the_connection_at_a_mebibyte(server: Server) -> None:
    """4002 for that reader alone; when it comes again all of it is there, in order."""
    user, reader = new_name("deaf"), Reader()
    words = [f"{number:03d}" + "x" * 30_000 for number in range(80)]
    async with raw_socket(window=WINDOW) as raw, bystanders(server) as pair:
        await reader.connect(raw, server, user)
        closed = await closed_with(server, 4002)
        await pour(server, new_name("sender"), user, words, "high")
        async with asyncio.timeout(WAIT):
            while await closed_with(server, 4002) == closed:
                await asyncio.sleep(0.05)
        with pytest.raises(Ended):
            await reader.read_until(raw, lambda: False)
        got = reader.at.get("e", 0)
        async with raw_socket() as again:
            await reader.connect(again, server, user)
            await reader.read_until(again, lambda: reader.at.get("e", 0) == len(words))
        print(
            f"\nexpress to one who does not read: ended after {got} of {len(words)}; bystanders {told(pair.latencies)}"
        )

    assert reader.arrived["e"] == words


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("opcode", [1, 9])
async def test_whoever_does_not_read_his_answers_is_not_read_any_more(server: Server, opcode: int) -> None:
    """Questions whose answers nobody takes do not fill the server: it stops listening, and goes on when they are taken.

    Both for our own pings and for those of the protocol; of the latter only the latest must be answered.
    """
    count = 500_000
    question = client_frame(b'{"id":1,"ping":{}}' if opcode == 1 else b"x" * 125, opcode)
    end = client_frame(b'{"id":2,"ping":{}}')
    async with raw_socket(window=WINDOW) as raw, bystanders(server) as pair:
        await raw.connect(server, new_name("ann"))
        rss, memory = server.rss(), [server.rss()]
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(peak_memory(server, memory))
            writer = group.create_task(raw.write(question * count + end))
            while not writer.done() and (opcode == 9 or len(pair.latencies) < 100):
                await asyncio.sleep(0.05)
            blocked, answers = not writer.done(), 0
            while b'"id":2' not in (frame := await raw.frame()).payload:
                answers += frame.opcode == PONG or b'"pong"' in frame.payload
            watch.cancel()
        growth = (max(memory) - rss) / MIB
        print(f"\n{count} questions, {answers} answers; at most {growth:.1f} MiB more; {told(pair.latencies)}")

    assert growth < 16
    assert max(pair.latencies) < 1
    if opcode == 1:
        assert blocked
        assert answers == count


async def test_a_command_may_come_in_any_number_of_pieces(server: Server) -> None:
    """Most of them empty: they cost nothing, and the command is whole."""
    said = json.dumps({"id": 1, "send": chat(new_name("bob"))}).encode()
    async with connected(server, new_name("other")), raw_socket() as raw:
        await raw.connect(server, new_name("ann"))
        await raw.write(client_frame(b"", fin=False) + client_frame(b"", 0, fin=False) * 20_000)
        await raw.write(client_frame(said[:5], 0, fin=False) + client_frame(said[5:], 0))
        while b'"id":1' not in (frame := await raw.frame()).payload:
            pass

    assert json.loads(frame.payload)["send"]["seq"] == 1
