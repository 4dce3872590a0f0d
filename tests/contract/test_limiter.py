"""What every rate limiter promises (`aldis.ports.limiter`)."""

from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aldis.adapters.memory.clock import DrivenClock
from aldis.adapters.memory.limiter import MemoryLimiter
from aldis.adapters.memory.token_bank import MemoryTokenBank
from aldis.ports.clock import Clock
from aldis.ports.limiter import Limiter, Rate
from aldis.services.leasing_limiter import LeasingLimiter

MakeLimiter = Callable[[Clock], Limiter]


def make_memory(clock: Clock) -> Limiter:
    return MemoryLimiter(clock=clock)


def make_leasing(clock: Clock) -> Limiter:
    """One process that is alone at its bank."""
    return LeasingLimiter(bank=MemoryTokenBank(clock=clock), local=MemoryLimiter(clock=clock), clock=clock)


ADAPTERS: dict[str, MakeLimiter] = {"memory": make_memory, "leasing": make_leasing}
every_adapter = pytest.mark.parametrize("make", ADAPTERS.values(), ids=ADAPTERS)

rates = st.builds(Rate, st.floats(0.01, 5000), st.integers(1, 50))
takes = st.tuples(st.just("take"), st.integers(1, 10))
pauses = st.tuples(st.just("pause"), st.integers(0, 5000))  # milliseconds
steps = st.lists(takes | pauses, max_size=60)


@every_adapter
@settings(deadline=None)  # a busy machine is not a broken limiter
@example(rate=Rate(999.9999, 1), steps=[("take", 1), ("pause", 1), ("take", 1)])  # a token takes 1 ms and 0.1 ns
@given(rate=rates, steps=steps)
async def test_never_more_than_burst_and_rate_allow(
    make: MakeLimiter, rate: Rate, steps: list[tuple[str, int]]
) -> None:
    """Between any two moments a key is granted at most `burst + rate * t` tokens."""
    clock = DrivenClock()
    limiter = make(clock)
    granted: list[tuple[int, int]] = []

    for step, amount in steps:
        if step == "pause":
            await clock.advance(amount / 1000)
        elif limiter.take("anna", rate, min(amount, rate.burst)) == 0:
            granted.append((clock.now_ms(), min(amount, rate.burst)))

    for i, (start, _) in enumerate(granted):
        for j, (end, _) in enumerate(granted[i:], i):
            allowed = rate.burst + Fraction(rate.per_second) * (end - start) / 1000
            assert sum(cost for _, cost in granted[i : j + 1]) <= allowed


@every_adapter
@settings(deadline=None)
@given(rate=rates, steps=steps, cost=st.integers(1, 10))
async def test_who_waits_as_told_is_let_through(
    make: MakeLimiter, rate: Rate, steps: list[tuple[str, int]], cost: int
) -> None:
    """A refused take succeeds after the wait it was told, and not a millisecond earlier unless a bank was asked."""
    clock = DrivenClock()
    limiter = make(clock)
    cost = min(cost, rate.burst)
    for step, amount in steps:
        if step == "pause":
            await clock.advance(amount / 1000)
        else:
            limiter.take("anna", rate, min(amount, rate.burst))

    wait_ms = limiter.take("anna", rate, cost)
    if wait_ms > 0:
        await clock.advance((wait_ms - 1) / 1000)
        if make is not make_leasing:
            assert limiter.take("anna", rate, cost) == 1
        await clock.advance(0.001)
        assert limiter.take("anna", rate, cost) == 0


@every_adapter
async def test_a_burst_is_welcome_and_then_the_rate_holds(make: MakeLimiter) -> None:
    """After a rest `burst` tokens are there at once; then one comes every 1/rate seconds."""
    clock = DrivenClock()
    limiter, rate = make(clock), Rate(per_second=10, burst=3)

    answers = [limiter.take("anna", rate) for _ in range(4)]
    await clock.advance(0.1)

    assert answers == [0, 0, 0, 100]
    assert limiter.take("anna", rate) == 0


@every_adapter
async def test_a_refused_take_takes_nothing(make: MakeLimiter) -> None:
    """Refusals cost nothing: what was there before is there after."""
    limiter, rate = make(DrivenClock()), Rate(per_second=1, burst=5)
    limiter.take("anna", rate, 3)

    refused = limiter.take("anna", rate, 4)

    assert refused == 2000
    assert limiter.remaining("anna", rate) == 2
    assert limiter.take("anna", rate, 2) == 0


@every_adapter
async def test_keys_do_not_share(make: MakeLimiter) -> None:
    """Each key has a bucket of its own."""
    limiter, rate = make(DrivenClock()), Rate(per_second=1, burst=1)
    limiter.take("anna", rate)

    assert limiter.take("bob", rate) == 0
    assert limiter.take("anna", rate) > 0


@every_adapter
async def test_looking_takes_nothing(make: MakeLimiter) -> None:
    """`remaining` tells what could be taken now, for a key never seen the whole burst."""
    limiter, rate = make(DrivenClock()), Rate(per_second=1, burst=5)

    assert limiter.remaining("anna", rate) == 5
    limiter.take("anna", rate, 2)
    assert [limiter.remaining("anna", rate) for _ in range(2)] == [3, 3]


@every_adapter
async def test_more_than_a_burst_at_once_is_a_mistake(make: MakeLimiter) -> None:
    """No wait would ever help, so the caller is told to ask for less."""
    limiter = make(DrivenClock())

    with pytest.raises(ValueError, match="in parts"):
        limiter.take("anna", Rate(per_second=1, burst=5), 6)


async def test_a_clock_that_is_set_back_blocks_no_longer_than_an_empty_bucket() -> None:
    """After a correction of the clock a key waits at most until an empty bucket would have filled."""
    clock = DrivenClock(now_ms=10_000_000)
    limiter, rate = MemoryLimiter(clock=clock), Rate(per_second=1, burst=2)
    limiter.take("anna", rate, 2)

    clock._now_ms -= 3_600_000

    assert limiter.take("anna", rate) == 1000


async def test_idle_keys_are_forgotten() -> None:
    """However many keys come by, it remembers about as many as are busy at one time."""
    clock = DrivenClock()
    limiter, rate = MemoryLimiter(clock=clock), Rate(per_second=10, burst=1)

    for number in range(2_000):
        limiter.take(f"user-{number}", rate)
        if number % 100 == 0:
            await clock.advance(0.1)

    assert len(limiter) <= 300
