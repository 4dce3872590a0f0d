"""One phase of broadcasts at a rate to a crowd, on whichever server: offered, received, counted, and told."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import msgspec

from bench.crowd import Crowd
from bench.figures import Figure, percentile
from bench.lines import Lines
from bench.order import Verdict
from bench.pace import LEAD, intended_times, keep_pace
from bench.scenario import Measured, Meter, never, wait_while_moving
from bench.schedule import Schedule

STILL = 7.0  # a lost doorbell is healed within 5 s; when nothing came for longer, nothing more will
DRAIN = 60.0
ANSWERED = (200, 201)


@dataclass(frozen=True, slots=True)
class Heard:
    """What a phase gave, of which the ratios to the peer are made."""

    delivered: float  # a second, while the load was on
    p99: float
    figures: list[Figure]


async def broadcast(
    crowd: Crowd, lines: Lines, requests: "Requests", *, rate: int, seconds: int, column: str, server: Measured
) -> Heard:
    """Send at a rate, wait for all that still comes, and count."""
    schedule = Schedule(rate=rate, seconds=seconds, pairs=1, active=1)
    meter = Meter(server)
    started = perf_counter() + LEAD
    numbers = crowd.start_phase(intended_times(schedule, started))
    posts = Posts(schedule.total)

    def send(turn: int) -> None:
        posts.written(perf_counter() - crowd.books.intended[turn])
        lines.ask(requests.build(numbers[turn]), lambda status, body: posts.on_answer(status, body, turn, crowd))

    await keep_pace(schedule, started, send)
    await wait_while_moving(
        lambda: posts.is_done and crowd.missing() <= 0,
        progress=lambda: len(crowd.books.times) + posts.answered,
        still=STILL,
        most=DRAIN,
    )
    return _tell(crowd, posts, started + seconds, schedule=schedule, column=column, meter=meter)


class _Answer(msgspec.Struct):
    seq: int | None = None


_decode = msgspec.json.Decoder(_Answer).decode


class Requests:
    """How a message is published."""

    def build(self, number: int) -> bytes:
        """Return the request that publishes message `number`."""
        raise NotImplementedError


class Posts:
    """The answers to what was published."""

    def __init__(self, total: int) -> None:
        """Expect `total` answers."""
        self._total = total
        self.answers: list[float] = []  # milliseconds from the intended time
        self.lateness: list[float] = []
        self.refused: Counter[int] = Counter()
        self.places: list[tuple[int, int]] = []  # (seq, number), as our answers tell

    def written(self, late: float) -> None:
        """Note how late the generator itself was."""
        self.lateness.append(late * 1000)

    def on_answer(self, status: int, body: bytes, turn: int, crowd: Crowd) -> None:
        """Take one answer, and with it the message's place where the server tells it."""
        if status in ANSWERED:
            self.answers.append((perf_counter() - crowd.books.intended[turn]) * 1000)
            answer = _decode(body)
            if answer.seq is not None:
                self.places.append((answer.seq, crowd.books.first + turn))
        else:
            self.refused[status] += 1

    def misplaced(self, heard: Sequence[int]) -> int:
        """Count the places at which what was heard is not the order that the answers tell."""
        told = [number for _, number in sorted(self.places)]
        return sum(1 for one, other in zip(told, heard, strict=False) if one != other) + abs(len(told) - len(heard))

    @property
    def answered(self) -> int:
        """How many answers came."""
        return len(self.answers) + self.refused.total()

    @property
    def is_done(self) -> bool:
        """Whether all did."""
        return self.answered == self._total


def _tell(crowd: Crowd, posts: Posts, until: float, *, schedule: Schedule, column: str, meter: Meter) -> Heard:
    books = crowd.books
    in_time = sum(1 for at in books.times if at <= until)
    delivered = in_time / schedule.seconds
    delays = [delay * 1000 for delay in books.delays]
    pickups = [pickup * 1000 for pickup in books.pickups]
    p99 = percentile(delays, 0.99)
    cpu = meter.server_cpu()
    figures = [
        Figure(name="offered", unit="deliveries/s", column=column, value=schedule.rate * crowd.size),
        Figure(name="delivered", unit="deliveries/s", column=column, value=delivered),
        Figure(name="delivery p50", unit="ms", column=column, value=percentile(delays, 0.50)),
        Figure(name="delivery p99", unit="ms", column=column, value=p99),
        Figure(name="answer p50", unit="ms", column=column, value=percentile(posts.answers, 0.50)),
        Figure(name="answer p99", unit="ms", column=column, value=percentile(posts.answers, 0.99)),
        Figure(name="pickup p99", unit="ms", column=column, value=percentile(pickups, 0.99)),
        Figure(name="send lateness p99", unit="ms", column=column, value=percentile(posts.lateness, 0.99)),
        Figure(name="published", column=column, value=len(posts.answers)),
        Figure(name="received", column=column, value=len(books.times)),
        never("refused", posts.refused.total(), column),
        never("not answered", schedule.total - posts.answered, column),
        never("missing", crowd.missing(), column),
        never("repeated", books.verdicts[Verdict.REPEATED], column),
        never("out of order", books.verdicts[Verdict.JUMP], column),
        *([never("not in the order of seq", posts.misplaced(books.order.heard), column)] if posts.places else []),
        never("sockets closed", books.closed, column),
        never("frames not understood", books.strange.total(), column),
        Figure(name="server CPU each delivery", unit="µs", column=column, value=cpu / max(1, len(books.times)) * 1e6),
        *meter.figures(column),
        Figure(name="generator busy", unit="%", column=column, value=meter.own_share() * 100),
    ]
    return Heard(delivered, p99, figures)
