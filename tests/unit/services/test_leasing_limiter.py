"""Limiters that share a bank: what they let through together, and what becomes of it without the bank."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from aldis.adapters.memory.clock import DrivenClock
from aldis.adapters.memory.limiter import MemoryLimiter
from aldis.adapters.memory.token_bank import MemoryTokenBank
from aldis.domain.errors import Unavailable
from aldis.ports.limiter import Rate
from aldis.ports.token_bank import Lease, TokenBank
from aldis.services.leasing_limiter import AWAY_MS, LeasingLimiter

RATE = Rate(per_second=5, burst=20)


class Bank:
    """A bank that can be away, or hang."""

    def __init__(self, clock: DrivenClock) -> None:
        self.inner = MemoryTokenBank(clock=clock)
        self.is_away = False
        self.hangs = False
        self.leases = 0

    async def lease(self, key: str, rate: Rate, tokens: int) -> Lease:
        self.leases += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.is_away:
            raise Unavailable("the bank is away")
        return await self.inner.lease(key, rate, tokens)


def open_limiters(clock: DrivenClock, bank: TokenBank, count: int) -> list[LeasingLimiter]:
    return [LeasingLimiter(bank=bank, local=MemoryLimiter(clock=clock), clock=clock) for _ in range(count)]


async def flood(clock: DrivenClock, limiters: list[LeasingLimiter], seconds: int, rate: Rate = RATE) -> int:
    """How many tokens a key gets that asks everywhere, all the time."""
    taken = 0
    for _ in range(seconds * 5):
        for limiter in limiters:
            while limiter.take("anna", rate) == 0:
                taken += 1
        await clock.advance(0.2)
    return taken


async def test_one_process_gets_all_of_its_bucket() -> None:
    """Alone at the bank, sharing costs nothing: the burst and then the rate, to the token."""
    clock = DrivenClock()
    (limiter,) = open_limiters(clock, MemoryTokenBank(clock=clock), 1)

    assert await flood(clock, [limiter], 60) in range(20 + 5 * 60 - 5, 20 + 5 * 60 + 1)


async def test_many_processes_keep_to_one_rate() -> None:
    """A flood over five gateways: one burst for each before the bank has answered, then one rate for all."""
    clock = DrivenClock()
    limiters = open_limiters(clock, MemoryTokenBank(clock=clock), 5)

    taken = await flood(clock, limiters, 30)

    assert 20 + 5 * 30 - 40 <= taken <= (5 + 1) * 20 + 5 * 30
    assert await flood(clock, limiters, 20) <= 5 * 21


@settings(deadline=None, max_examples=15)
@given(
    steps=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 20), st.integers(0, 3000)), max_size=40),
    count=st.integers(1, 3),
)
async def test_the_bound_that_the_port_promises_holds(steps: list[tuple[int, int, int]], count: int) -> None:
    """Between any two moments at most `(n + 1) * burst + rate * t`, whoever asks where and when."""
    clock = DrivenClock()
    limiters = open_limiters(clock, MemoryTokenBank(clock=clock), count)
    granted: list[tuple[int, int]] = []

    for which, cost, pause in steps:
        if limiters[which % count].take("anna", RATE, cost) == 0:
            granted.append((clock.now_ms(), cost))
        await clock.advance(pause / 1000)

    for i, (start, _) in enumerate(granted):
        for j, (end, _) in enumerate(granted[i:], i):
            allowed = (count + 1) * RATE.burst + RATE.per_second * (end - start) / 1000
            assert sum(cost for _, cost in granted[i : j + 1]) <= allowed


async def test_what_was_overdrawn_is_paid_back_before_it_is_forgotten() -> None:
    """Coming back after a rest, again and again over many gateways, gives no more than the rate in the long run."""
    clock = DrivenClock()
    limiters = open_limiters(clock, MemoryTokenBank(clock=clock), 5)
    rounds, rest, taken = 20, 4.0, 0

    for number in range(rounds):
        for limiter in limiters:
            taken += sum(limiter.take("anna", RATE) == 0 for _ in range(RATE.burst))
            for other in range(3):
                limiter.take(f"other-{number}-{other}", RATE)  # new keys make it look for idle ones
        await clock.advance(rest)

    assert taken <= (5 + 1) * RATE.burst + RATE.per_second * rest * rounds


async def test_a_bank_that_is_away_leaves_each_process_its_own_limit() -> None:
    """Without an answer each process keeps to the rate by itself; when the bank is back, they share again."""
    clock = DrivenClock()
    bank = Bank(clock)
    limiters = open_limiters(clock, bank, 2)
    bank.is_away = True

    alone = await flood(clock, limiters, 20)
    asked = bank.leases
    bank.is_away = False
    await flood(clock, limiters, 30)
    together = await flood(clock, limiters, 20)

    assert alone in range(2 * 20 + 2 * 5 * 20 - 20, 2 * (20 + 5 * 20) + 1)
    assert asked <= 2 * (20_000 // AWAY_MS + 2)
    assert together <= 5 * 21


async def test_a_bank_that_hangs_holds_nobody_up() -> None:
    """Deciding never waits; the answer that does not come is given up."""
    clock = DrivenClock()
    bank = Bank(clock)
    bank.hangs = True
    limiter = LeasingLimiter(bank=bank, local=MemoryLimiter(clock=clock), clock=clock, lease_seconds=0.01)

    answers = [limiter.take("anna", RATE) for _ in range(25)]
    while limiter._away_until == 0:  # as long as the test may take
        await asyncio.sleep(0.001)

    assert answers == [0] * 20 + [200] * 5
    assert bank.leases == 1


async def test_idle_keys_are_forgotten() -> None:
    """However many keys come by, it remembers about as many as are busy at one time."""
    clock = DrivenClock()
    (limiter,) = open_limiters(clock, MemoryTokenBank(clock=clock), 1)

    for number in range(2_000):
        limiter.take(f"user-{number}", Rate(10, 1))
        if number % 100 == 0:
            await clock.advance(0.1)

    assert len(limiter) <= 400
