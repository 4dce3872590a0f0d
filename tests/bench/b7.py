"""B7: a page of 50 messages costs the same at the newest end of a conversation and a million messages below it.

The conversation is begun with one message over the contract; the rest is put into the database directly, as copies of
that row with ids, seqs and texts of their own: a million sends would take minutes and say nothing about reading.

How to read it: pages at all depths are asked for in turn at a steady rate, so that each depth meets the same moments.
The target is the p99 of the deepest over that of the newest. Each page must hold the 50 messages that belong there.
"""

from collections import defaultdict
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter

import msgspec

from bench import frames, tokens
from bench.backend import Backend
from bench.database import Database
from bench.figures import Figure, Target, percentile
from bench.lines import build_request, open_lines
from bench.pace import LEAD, intended_times, keep_pace
from bench.scenario import Meter, Options, Scenario, never, no_collector, tell, wait_while_moving
from bench.schedule import Schedule
from bench.server import Server

PAGE = 50
LINES = 8
READER, CHANNEL = "reader", "alerts"
FLAT = Target(limit=1.5)
COPIES_AT_ONCE = 50_000  # rows in one transaction, so that the server's own writes get their turn
STILL = 10.0
DRAIN = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How long the conversation is and how many pages are read."""

    messages: int
    rate: int
    seconds: int


FULL = Size(messages=1_000_000, rate=150, seconds=20)
QUICK = Size(messages=20_000, rate=150, seconds=4)


class Item(msgspec.Struct):
    """A message of a page, as much of it as is looked at."""

    seq: int


class Page(msgspec.Struct):
    """The answer."""

    items: list[Item]


_decode = msgspec.json.Decoder(Page).decode


class Sent(msgspec.Struct):
    """The answer to the first message."""

    conversation_id: str


class Reads:
    """What the pages of one depth gave."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.delays: list[float] = []
        self.wrong = 0

    def take(self, status: int, body: bytes, *, due: float, below: int) -> None:
        """Take one page, which must hold the `PAGE` messages below a seq, newest first."""
        self.delays.append((perf_counter() - due) * 1000)
        expected = list(range(below - 1, below - 1 - PAGE, -1))
        if status != HTTPStatus.OK or [item.seq for item in _decode(body).items] != expected:
            self.wrong += 1


async def measure(server: Server, options: Options) -> list[Figure]:
    """Fill a conversation, then read pages of it at three depths in turn."""
    size = QUICK if options.quick else FULL
    conversation = await _begin(server)
    started = perf_counter()
    fill(server.database, conversation, size.messages)
    tell(f"B7: {size.messages:,} messages are laid up in {perf_counter() - started:.0f} s")
    depths = (0, size.messages // 2, size.messages - PAGE)
    schedule = Schedule(rate=size.rate, seconds=size.seconds, pairs=1, active=1)
    with no_collector():
        warm = Schedule(rate=size.rate, seconds=1, pairs=1, active=1)
        _ = await _read(server, conversation, depths, head=size.messages, schedule=warm)
        meter = Meter(server)
        reads = await _read(server, conversation, depths, head=size.messages, schedule=schedule)
    return [*_tell(depths, reads), *meter.figures("in all")]


async def _begin(server: Server) -> str:
    """Send the conversation's first message and return its id."""
    backend = Backend(server)
    backend.declare(CHANNEL, {"type": "Notification"})
    async with open_lines(server.port, 1) as lines:
        message = {"to": {"user": READER}, "channel": CHANNEL, "kind": "notification", "content": frames.content_of(1)}
        status, body = await lines.answer(backend.post(message))
    if status != HTTPStatus.CREATED:
        raise ConnectionError(f"the first message was refused: {status} {body[:300]!r}")
    return msgspec.json.decode(body, type=Sent).conversation_id


def fill(database: Database, conversation: str, messages: int) -> None:
    """Copy the first message until the conversation has as many."""
    own = {
        "id": f"substr(id, 1, 24) || {_digits(12)}",
        "seq": "n",
        "client_id": "NULL",
        "content": f"replace(content, '0000000001', {_digits(frames.NUMBER_LENGTH)})",
    }
    columns = database.columns("messages")
    copied = ", ".join(own.get(column, column) for column in columns)
    for first in range(2, messages + 1, COPIES_AT_ONCE):
        last = min(messages, first + COPIES_AT_ONCE - 1)
        database.change(
            f"WITH RECURSIVE numbers(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last}) "  # noqa: S608 - names of columns, and our own numbers
            f"INSERT INTO messages ({', '.join(columns)}) "
            f"SELECT {copied} FROM numbers, messages WHERE conversation_id = '{conversation}' AND seq = 1"
        )
    database.change(f"UPDATE conversations SET head_seq = {messages} WHERE id = '{conversation}'")  # noqa: S608


def _digits(count: int) -> str:
    """Return the expression of n with nought in front of it, in words that every database knows."""
    return f"substr(CAST({10**count} + n AS TEXT), 2)"


async def _read(
    server: Server, conversation: str, depths: tuple[int, ...], *, head: int, schedule: Schedule
) -> dict[int, Reads]:
    """Ask for the pages of all depths in turn; depth 0 gives no `before`, as a client that opens a conversation."""
    token = tokens.sign(READER, secret=server.secret)
    path = f"/v1/conversations/{conversation}/messages?limit={PAGE}"
    reads: dict[int, Reads] = defaultdict(Reads)
    started = perf_counter() + LEAD
    due = intended_times(schedule, started)
    async with open_lines(server.port, LINES) as lines:

        def send(turn: int) -> None:
            depth = depths[turn % len(depths)]
            below = head - depth + 1
            request = build_request(
                "GET", path + (f"&before={below}" if depth else ""), port=server.port, credential=token
            )
            lines.ask(request, lambda status, body: reads[depth].take(status, body, due=due[turn], below=below))

        await keep_pace(schedule, started, send)
        await wait_while_moving(
            lambda: _count(reads) == schedule.total, progress=lambda: _count(reads), still=STILL, most=DRAIN
        )
    return reads


def _count(reads: dict[int, Reads]) -> int:
    return sum(len(read.delays) for read in reads.values())


def _tell(depths: tuple[int, ...], reads: dict[int, Reads]) -> list[Figure]:
    newest = percentile(reads[depths[0]].delays, 0.99)
    figures = []
    for depth in depths:
        column, delays = f"depth {depth:,}", reads[depth].delays
        p99 = percentile(delays, 0.99)
        figures += [
            Figure(name="pages", column=column, value=len(delays)),
            Figure(name="page p50", unit="ms", column=column, value=percentile(delays, 0.50)),
            Figure(name="page p99", unit="ms", column=column, value=p99),
            never("wrong pages", reads[depth].wrong, column),
        ]
        if depth:
            target = FLAT if depth == depths[-1] else None
            figures.append(Figure(name="p99 to the newest's", column=column, value=p99 / newest, target=target))
    return figures


SCENARIO = Scenario(name="B7", title="a page of 50 at the newest end and a million messages below", measure=measure)
