"""The load of one-to-one messages at a rate: offer it, wait for what still comes, count, and say what was seen."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from time import perf_counter

from bench import frames
from bench.client import Client
from bench.figures import Figure, Target, percentile
from bench.ledger import Ledger, Role
from bench.scenario import Meter, never, tell, wait_until, wait_while_moving
from bench.schedule import Schedule
from bench.search import Trial
from bench.server import Server

TICK = 0.001  # seconds between looks at the clock; messages due in between go out together
LEAD = 0.05  # seconds before the first message of a phase
STILL = 7.0  # a lost doorbell is healed within 5 s; when nothing came for longer, nothing more will
DRAIN = 60.0
SETTLE = 2.0  # for receipts, which follow the acknowledgements
TIGHT_RATE = 1_000  # messages a second at which latencies have targets


@dataclass(frozen=True, slots=True, kw_only=True)
class Goals:
    """Whose phases these are, and the targets of latencies at 1,000 messages a second, by the names of the figures."""

    scenario: str
    latencies: Mapping[str, Target] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """The connected devices; index i of the senders writes to index i of the recipients."""

    senders: list[Client]
    recipients: list[Client]
    roles: Collection[Role] = tuple(Role)  # of devices that are to get each message
    is_acknowledging: bool = True


@dataclass(frozen=True, slots=True)
class Phase:
    """What one rate gave."""

    trial: Trial
    figures: list[Figure]


class Exchange:
    """Phases of load between the same devices on one server; the window of active pairs rotates through them all."""

    def __init__(self, server: Server, *, population: Population, ledger: Ledger, active: int, goals: Goals) -> None:
        """Take the connected devices and their books."""
        self._server = server
        self._goals = goals
        self._roles = population.roles
        self._is_acknowledging = population.is_acknowledging
        self._senders = population.senders
        self._addresses = [client.seat.user for client in population.recipients]
        self._ledger = ledger
        self._active = active
        self._windows = 0

    async def run_phase(self, rate: int, seconds: int) -> Phase:
        """Offer one rate, wait for all that still comes, and count."""
        schedule = Schedule(
            rate=rate, seconds=seconds, pairs=len(self._senders), active=self._active, first_window=self._windows
        )
        self._windows += seconds
        numbers = self._ledger.start_phase(schedule.total)
        meter = Meter(self._server)
        started = await self._offer(schedule, numbers)
        await self._drain(schedule.total)
        achieved = self._ledger.received_by(numbers, Role.RECIPIENT, started + seconds) / seconds
        lost = sum(self._ledger.missing(numbers, role) for role in self._roles)
        column = f"{rate:,}/s"
        refused = dict(self._ledger.tally.refused) or ""
        tell(f"{self._goals.scenario}: {column} offered, {achieved:,.0f}/s achieved, {lost} lost {refused}")
        figures = [
            Figure(name="offered", unit="msg/s", column=column, value=rate),
            Figure(name="achieved", unit="msg/s", column=column, value=achieved),
            *self._latencies(column, numbers, rate),
            *self._totals(column, numbers),
            *(figure for role in self._roles for figure in self._counts(column, numbers, role)),
            *(
                Figure(name=f"{name} CPU each", unit="ms", column=column, value=cpu / len(numbers) * 1000)
                for name, cpu in meter.cpu().items()
            ),
            *meter.figures(column),
        ]
        return Phase(Trial(offered=rate, achieved=achieved, lost=lost), figures)

    async def _offer(self, schedule: Schedule, numbers: range) -> float:
        """Send each message when it is due and return the time of the first."""
        ledger, first = self._ledger, numbers.start
        started = perf_counter() + LEAD
        for turn in range(schedule.total):
            ledger.intended[first + turn] = started + turn / schedule.rate
        sent = 0
        while sent < schedule.total:
            await asyncio.sleep(TICK)
            due = schedule.due(perf_counter() - started)
            for turn in range(sent, due):
                self._send(schedule.pair(turn), first + turn)
            sent = due
        return started

    def _send(self, pair: int, number: int) -> None:
        self._ledger.written[number] = perf_counter()
        self._senders[pair].send(frames.build_send(number, recipient=self._addresses[pair]))

    async def _drain(self, total: int) -> None:
        """Wait until each message is answered and each confirmed one has reached all devices, and for receipts."""
        tally = self._ledger.tally

        def is_done() -> bool:
            is_answered = tally.answered + sum(tally.refused.values()) >= total
            return is_answered and all(tally.received[role] >= tally.answered for role in self._roles)

        def progress() -> int:
            return tally.answered + sum(tally.received.values())

        await wait_while_moving(is_done, progress=progress, still=STILL, most=DRAIN)
        if self._is_acknowledging:
            await wait_until(lambda: self._untold() == 0, seconds=SETTLE)

    def _untold(self) -> int:
        """Count the conversations whose sender has not been told that all of it was delivered."""
        return sum(
            client.delivered.get(conversation, 0) < seq
            for client in self._senders
            for conversation, seq in client.last_seq.items()
        )

    def _latencies(self, column: str, numbers: range, rate: int) -> list[Figure]:
        ledger = self._ledger
        timed = {
            "answer": ledger.answered,
            "recipient": ledger.received[Role.RECIPIENT],
            **({"other device": ledger.received[Role.OTHER]} if Role.OTHER in self._roles else {}),
            "send lateness": ledger.written,
        }
        targets = self._goals.latencies if rate == TIGHT_RATE else {}
        figures = []
        for name, times in timed.items():
            values = ledger.latencies(numbers, times)
            figures += [
                Figure(name=told, unit="ms", column=column, value=percentile(values, share), target=targets.get(told))
                for told, share in ((f"{name} p50", 0.50), (f"{name} p99", 0.99))
            ]
        return figures

    def _totals(self, column: str, numbers: range) -> list[Figure]:
        tally = self._ledger.tally
        return [
            Figure(name="sent", column=column, value=len(numbers)),
            Figure(name="confirmed", column=column, value=tally.answered),
            never("refused", sum(tally.refused.values()), column),
            never("sockets closed", tally.closed, column),
            never("frames not understood", tally.strange, column),
            Figure(name="receipts to senders", column=column, value=tally.receipts),
            *([never("senders not told of delivery", self._untold(), column)] if self._is_acknowledging else []),
        ]

    def _counts(self, column: str, numbers: range, role: Role) -> list[Figure]:
        tally = self._ledger.tally
        return [
            Figure(name=f"{role}: received", column=column, value=tally.received[role]),
            never(f"{role}: repeated", tally.repeated[role], column),
            never(f"{role}: out of order", tally.out_of_order[role], column),
            never(f"{role}: missing", self._ledger.missing(numbers, role), column),
        ]
