"""The second half of FLOOD: urgent messages to some users, with and without a flood of low ones to others."""

import asyncio
from array import array
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter

from bench import frames, tokens
from bench.backend import Backend
from bench.backlog import notification
from bench.crowd import ALDIS, Crowd
from bench.figures import Figure, Target, percentile
from bench.lines import Lines, open_lines
from bench.pace import LEAD, intended_times, keep_pace
from bench.phone import Phone, open_phone
from bench.scenario import HANDSHAKES_AT_ONCE, Meter, never, tell, wait_while_moving
from bench.schedule import Schedule
from bench.server import Server

PAIRS = 20  # users who get urgent ones, and as many who write to them
URGENT_RATE = 40  # a second: half notifications by POST, half chats over sockets
BATCH = 50  # low notifications in one request
LINES = 8
STILL = 7.0
DRAIN = 60.0
NO_MORE = Target(limit=100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Sockets that hear the broadcasts, users who get low notifications, and how many a second of each."""

    listeners: int
    others: int
    bulk_rate: int
    broadcast_rate: int
    seconds: int


class Urgent:
    """The books of the urgent messages of one phase."""

    def __init__(self, first: int, intended: list[float]) -> None:
        """Expect a message for each intended time, numbered from `first`."""
        self.first = first
        self.intended = intended
        self.times = array("d", bytes(8 * len(intended)))
        self.repeated = 0
        self.refused: Counter[int] = Counter()

    def on_event(self, source: str, event: frames.Event, now: float) -> None:
        """Take what a recipient gets."""
        number = frames.number_of(event.message)
        if source != "e" or number is None or not 0 <= (turn := number - self.first) < len(self.times):
            return
        self.repeated += bool(self.times[turn])
        self.times[turn] = now

    def delays(self, parity: int) -> list[float]:
        """Return the milliseconds of the notifications (0) or of the chats (1)."""
        pairs = zip(self.times[parity::2], self.intended[parity::2], strict=True)
        return [(at - due) * 1000 for at, due in pairs if at]

    @property
    def missing(self) -> int:
        """How many have not come."""
        return sum(1 for at in self.times if not at)


class Bench:
    """The connected users, and the books of the phase that is on."""

    def __init__(self, server: Server, backend: Backend, *, alerts: str) -> None:
        """Begin with nobody."""
        self.server = server
        self.backend = backend
        self.alerts = alerts
        self.urgent = Urgent(0, [])
        self.senders: list[Phone] = []

    def on_event(self, source: str, event: frames.Event, now: float) -> None:
        """Hand an event to the phase that is on."""
        self.urgent.on_event(source, event, now)

    def send(self, turn: int, lines: Lines) -> None:
        """Send the urgent message of this turn: notifications and chats by turns."""
        number, pair = self.urgent.first + turn, turn // 2 % PAIRS
        if turn % 2:
            self.senders[pair].send(frames.build_send(number, recipient=_recipient(pair), priority="high"))
            return
        body = notification(self.alerts, _recipient(pair), number, priority="urgent")
        lines.ask(self.backend.post(body), self._on_answer)

    def _on_answer(self, status: int, _: bytes) -> None:
        if status != HTTPStatus.CREATED:
            self.urgent.refused[status] += 1


async def compare(server: Server, backend: Backend, load: Load, *, alerts: str, news: str) -> list[Figure]:
    """Measure without and with the flood."""
    bench = Bench(server, backend, alerts=alerts)
    hellos = [frames.build_reader_connect(token=_sign(f"listener-{n:04d}", server)) for n in range(load.listeners)]
    crowd = Crowd(port=server.port, dialect=ALDIS)
    async with crowd.receiving(), _people(bench), open_lines(server.port, LINES) as lines:
        await crowd.join_all(hellos, at_once=HANDSHAKES_AT_ONCE)
        _ = await _run(bench, load, lines, column="warm-up", first=1_000_000)
        quiet, p99_quiet = await _run(bench, load, lines, column="quiet", first=2_000_000)
        flood = Flood(bench, crowd, load, news=news)
        async with flood.flowing():
            flooded, p99_flooded = await _run(bench, load, lines, column="flooded", first=3_000_000)
        return [*quiet, *flooded, *_delays(p99_quiet, p99_flooded), *flood.figures()]


async def _run(
    bench: Bench, load: Load, lines: Lines, *, column: str, first: int
) -> tuple[list[Figure], tuple[float, float]]:
    schedule = Schedule(rate=URGENT_RATE, seconds=load.seconds, pairs=1, active=1)
    started = perf_counter() + LEAD
    urgent = bench.urgent = Urgent(first, intended_times(schedule, started))
    meter = Meter(bench.server)
    await keep_pace(schedule, started, lambda turn: bench.send(turn, lines))
    await wait_while_moving(lambda: urgent.missing == 0, progress=lambda: -urgent.missing, still=STILL, most=DRAIN)
    both = urgent.delays(0), urgent.delays(1)
    p99 = percentile(both[0], 0.99), percentile(both[1], 0.99)
    tell(f"FLOOD: {column}: urgent p99 {p99[0]:.1f} ms, chat p99 {p99[1]:.1f} ms {dict(urgent.refused) or ''}")
    figures = [
        Figure(name="urgent p50", unit="ms", column=column, value=percentile(both[0], 0.50)),
        Figure(name="urgent p99", unit="ms", column=column, value=p99[0]),
        Figure(name="high chat p50", unit="ms", column=column, value=percentile(both[1], 0.50)),
        Figure(name="high chat p99", unit="ms", column=column, value=p99[1]),
        never("missing", urgent.missing, column),
        never("repeated", urgent.repeated, column),
        never("refused", urgent.refused.total(), column),
        *meter.figures(column),
    ]
    return figures, p99


def _delays(quiet: tuple[float, float], flooded: tuple[float, float]) -> list[Figure]:
    return [
        Figure(name=f"{name}: delay at p99", unit="ms", column="flooded", value=after - before, target=NO_MORE)
        for name, before, after in zip(("urgent", "high chat"), quiet, flooded, strict=True)
    ]


class Flood:
    """Low notifications in batches, and broadcasts, at steady rates."""

    def __init__(self, bench: Bench, crowd: Crowd, load: Load, *, news: str) -> None:
        """Prepare the flood."""
        self._bench = bench
        self._crowd = crowd
        self._load = load
        self._news = news
        self._sent = 0
        self._stored = 0
        self._refused: Counter[str] = Counter()

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        """Flood for as long as the block lasts; both kinds have lines of their own."""
        port = self._bench.server.port
        async with open_lines(port, LINES) as bulk, open_lines(port, LINES) as news, asyncio.TaskGroup() as tasks:
            flows = [tasks.create_task(self._notify(bulk)), tasks.create_task(self._broadcast(news))]
            try:
                yield
            finally:
                for flow in flows:
                    flow.cancel()

    def figures(self) -> list[Figure]:
        """Say how much of a flood it was."""
        column = "flooded"
        return [
            Figure(name="low sent", column=column, value=self._sent),
            Figure(name="low stored", column=column, value=self._stored),
            Figure(name="broadcasts received", column=column, value=len(self._crowd.books.times)),
            never("flood refused", self._refused.total(), column),
        ]

    async def _notify(self, lines: Lines) -> None:
        load = self._load
        schedule = Schedule(rate=max(1, load.bulk_rate // BATCH), seconds=load.seconds * 2, pairs=1, active=1)
        await keep_pace(schedule, perf_counter(), lambda turn: self._post_batch(lines, turn))

    def _post_batch(self, lines: Lines, turn: int) -> None:
        numbers = range(turn * BATCH, (turn + 1) * BATCH)
        users = [f"other-{number % self._load.others:04d}" for number in numbers]
        messages = [
            notification(self._bench.alerts, user, 10_000_000 + number, priority="low")
            for user, number in zip(users, numbers, strict=True)
        ]
        self._sent += BATCH
        lines.ask(self._bench.backend.post_batch(messages), self._on_batch)

    def _on_batch(self, status: int, _: bytes) -> None:
        if status == HTTPStatus.OK:
            self._stored += BATCH
        else:
            self._refused[f"batch {status}"] += 1

    async def _broadcast(self, lines: Lines) -> None:
        load = self._load
        schedule = Schedule(rate=load.broadcast_rate, seconds=load.seconds * 2, pairs=1, active=1)
        started = perf_counter()
        numbers = self._crowd.start_phase(intended_times(schedule, started))

        def send(turn: int) -> None:
            body = {"to": {"channel": self._news}, "content": frames.content_of(numbers[turn])}
            lines.ask(self._bench.backend.post(body), self._on_broadcast)

        await keep_pace(schedule, started, send)

    def _on_broadcast(self, status: int, _: bytes) -> None:
        if status != HTTPStatus.CREATED:
            self._refused[f"broadcast {status}"] += 1


@asynccontextmanager
async def _people(bench: Bench) -> AsyncIterator[None]:
    """Connect the recipients and those who write to them."""
    async with AsyncExitStack() as stack:
        for pair in range(PAIRS):
            for user in (_recipient(pair), _sender(pair)):
                hello = frames.build_reader_connect(token=_sign(user, bench.server))
                on_event = bench.on_event if user == _recipient(pair) else _ignore
                phone = await stack.enter_async_context(open_phone(bench.server.port, hello, on_event))
                if user == _sender(pair):
                    bench.senders.append(phone)
        yield


def _ignore(_source: str, _event: frames.Event, _now: float) -> None:
    """Take no note of what a sender gets of its own."""


def _recipient(pair: int) -> str:
    return f"urgent-{pair:03d}"


def _sender(pair: int) -> str:
    return f"writer-{pair:03d}"


def _sign(user: str, server: Server) -> str:
    return tokens.sign(user, secret=server.secret)
