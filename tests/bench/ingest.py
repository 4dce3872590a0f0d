"""One phase of a backend's posts at a rate: offered, answered, counted, and told."""

from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter

import msgspec

from bench.backend import Backend, Body
from bench.figures import Figure, percentile
from bench.frames import content_of
from bench.lines import Lines, open_lines
from bench.pace import LEAD, intended_times, keep_pace
from bench.scenario import Meter, never, tell, wait_while_moving
from bench.schedule import Schedule
from bench.search import Trial
from bench.server import Server

STILL = 10.0
DRAIN = 60.0


class Failed(msgspec.Struct):
    """Why one was not stored."""

    code: str = "unknown"


class Item(msgspec.Struct):
    """The answer to one message, by itself or in a batch."""

    message_id: str | None = None
    error: Failed | None = None


class Items(msgspec.Struct):
    """The answer to a batch."""

    results: list[Item]


_decode_item = msgspec.json.Decoder(Item).decode
_decode_items = msgspec.json.Decoder(Items).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How messages are posted: `batch` in one request (1 is a plain send), over so many connections."""

    name: str
    batch: int
    lines: int


class Ingest:
    """Notifications to `users` users in turn, numbered through the whole run."""

    def __init__(self, server: Server, *, backend: Backend, channel: str, users: int) -> None:
        """Begin with message 0."""
        self._server = server
        self._backend = backend
        self._channel = channel
        self._users = users
        self._first = 0
        self.confirmed: set[str] = set()  # the ids of all that was answered as stored

    async def run_phase(self, way: Way, rate: int, seconds: int) -> tuple[Trial, list[Figure]]:
        """Offer one rate, wait for the answers, and count."""
        requests = Schedule(rate=max(1, rate // way.batch), seconds=seconds, pairs=1, active=1)
        first, self._first = self._first, self._first + requests.total * way.batch
        answers = Answers(way.batch)
        async with open_lines(self._server.port, way.lines) as lines:
            meter = Meter(self._server)
            started = perf_counter() + LEAD
            await self._offer(lines, requests, started, first=first, answers=answers)
            await wait_while_moving(
                lambda: answers.requests == requests.total,
                progress=lambda: answers.requests,
                still=STILL,
                most=DRAIN,
            )
        self.confirmed |= answers.ids
        return _tell(way, requests, answers, started=started, meter=meter)

    async def _offer(self, lines: Lines, schedule: Schedule, started: float, *, first: int, answers: "Answers") -> None:
        due = intended_times(schedule, started)

        def send(turn: int) -> None:
            at = due[turn]
            answers.lateness.append((perf_counter() - at) * 1000)
            number = first + turn * answers.batch
            lines.ask(self._build(number, answers.batch), lambda status, body: answers.take(status, body, at))

        await keep_pace(schedule, started, send)

    def _build(self, number: int, batch: int) -> bytes:
        if batch == 1:
            return self._backend.post(self._notification(number))
        return self._backend.post_batch([self._notification(number + index) for index in range(batch)])

    def _notification(self, number: int) -> Body:
        return {
            "to": {"user": f"reader-{number % self._users:05d}"},
            "kind": "notification",
            "channel": self._channel,
            "client_id": f"n{number}",
            "content": content_of(number),
        }


class Answers:
    """What came back in one phase."""

    def __init__(self, batch: int) -> None:
        """Expect `batch` messages to be answered by each request."""
        self.batch = batch
        self.requests = 0
        self.ids: set[str] = set()
        self.times: list[float] = []  # of each answer
        self.delays: list[float] = []  # milliseconds from the intended time
        self.lateness: list[float] = []
        self.refused: Counter[str] = Counter()

    def take(self, status: int, body: bytes, due: float) -> None:
        """Take the answer to one request."""
        now = perf_counter()
        self.requests += 1
        if status not in {HTTPStatus.OK, HTTPStatus.CREATED}:
            self.refused[f"{status}"] += self.batch
            return
        items = [_decode_item(body)] if self.batch == 1 else _decode_items(body).results
        for item in items:
            if item.message_id is None:
                self.refused[item.error.code if item.error is not None else "no answer"] += 1
            else:
                self.ids.add(item.message_id)
        self.times.append(now)
        self.delays.append((now - due) * 1000)


def _tell(
    way: Way, schedule: Schedule, answers: Answers, *, started: float, meter: Meter
) -> tuple[Trial, list[Figure]]:
    total = schedule.total * way.batch
    offered = schedule.rate * way.batch
    in_time = sum(1 for at in answers.times if at <= started + schedule.seconds) * way.batch
    achieved = in_time / schedule.seconds
    column = f"{way.name} {offered:,}/s"
    tell(f"B5: {column}: {achieved:,.0f}/s achieved {dict(answers.refused) or ''}")
    figures = [
        Figure(name="offered", unit="msg/s", column=column, value=offered),
        Figure(name="achieved", unit="msg/s", column=column, value=achieved),
        Figure(name="answer p50", unit="ms", column=column, value=percentile(answers.delays, 0.50)),
        Figure(name="answer p99", unit="ms", column=column, value=percentile(answers.delays, 0.99)),
        Figure(name="send lateness p99", unit="ms", column=column, value=percentile(answers.lateness, 0.99)),
        Figure(name="sent", column=column, value=total),
        Figure(name="confirmed", column=column, value=len(answers.ids)),
        never("refused", answers.refused.total(), column),
        never("not answered", total - len(answers.ids) - answers.refused.total(), column),
        Figure(name="server CPU each", unit="µs", column=column, value=meter.server_cpu() / max(1, total) * 1e6),
        *meter.figures(column),
        Figure(name="generator busy", unit="%", column=column, value=meter.own_share() * 100),
    ]
    return Trial(offered=offered, achieved=achieved, lost=total - len(answers.ids)), figures
