"""What every token bank promises (`aldis.ports.token_bank`)."""

from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aldis.adapters.memory.clock import DrivenClock
from aldis.adapters.memory.token_bank import MemoryTokenBank
from aldis.ports.clock import Clock
from aldis.ports.limiter import Rate
from aldis.ports.token_bank import Lease, TokenBank


def make_memory(clock: Clock) -> TokenBank:
    return MemoryTokenBank(clock=clock)


ADAPTERS: dict[str, Callable[[Clock], TokenBank]] = {"memory": make_memory}
every_adapter = pytest.mark.parametrize("make", ADAPTERS.values(), ids=ADAPTERS)
rates = st.builds(Rate, st.floats(0.01, 5000), st.integers(1, 50))
steps = st.lists(st.tuples(st.just("lease"), st.integers(1, 80)) | st.tuples(st.just("pause"), st.integers(0, 5000)))


@every_adapter
@settings(deadline=None)
@given(rate=rates, steps=steps)
async def test_never_more_than_burst_and_rate_allow(
    make: Callable[[Clock], TokenBank], rate: Rate, steps: list[tuple[str, int]]
) -> None:
    """Between any two moments the leases of a key are at most `burst + rate * t`, and none is for more than asked."""
    clock = DrivenClock()
    bank = make(clock)
    granted: list[tuple[int, int]] = []

    for step, amount in steps:
        if step == "pause":
            await clock.advance(amount / 1000)
            continue
        lease = await bank.lease("anna", rate, amount)
        assert 0 <= lease.granted <= amount
        granted.append((clock.now_ms(), lease.granted))

    for i, (start, _) in enumerate(granted):
        for j, (end, _) in enumerate(granted[i:], i):
            allowed = rate.burst + Fraction(rate.per_second) * (end - start) / 1000
            assert sum(tokens for _, tokens in granted[i : j + 1]) <= allowed


@every_adapter
async def test_what_is_there_is_given_and_the_wait_is_told(make: Callable[[Clock], TokenBank]) -> None:
    """A lease may be for a part, and says when there is more; after that wait there is."""
    clock = DrivenClock()
    bank, rate = make(clock), Rate(per_second=10, burst=5)

    assert await bank.lease("anna", rate, 3) == Lease(3, 0)
    assert await bank.lease("anna", rate, 3) == Lease(2, 100)
    assert await bank.lease("anna", rate, 3) == Lease(0, 100)
    await clock.advance(0.099)
    assert await bank.lease("anna", rate, 3) == Lease(0, 1)
    await clock.advance(0.001)
    assert await bank.lease("anna", rate, 3) == Lease(1, 100)


@every_adapter
async def test_keys_do_not_share(make: Callable[[Clock], TokenBank]) -> None:
    """Each key has a bucket of its own."""
    bank, rate = make(DrivenClock()), Rate(per_second=1, burst=1)
    await bank.lease("anna", rate, 1)

    assert (await bank.lease("bob", rate, 1)).granted == 1
