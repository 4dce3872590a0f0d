import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldis_client.backoff import Backoff

BACKOFF = Backoff(base_seconds=0.5, cap_seconds=30.0)


@pytest.mark.parametrize(("attempt", "ceiling"), [(0, 0.5), (1, 1.0), (5, 16.0), (6, 30.0), (10_000, 30.0)])
def test_the_ceiling_doubles_up_to_the_cap(attempt: int, ceiling: float) -> None:
    """Each attempt may wait twice as long as the one before it, and none longer than the cap."""
    assert BACKOFF.ceiling(attempt) == ceiling


@given(st.integers(0, 100), st.floats(0, 60), st.randoms(use_true_random=False))
def test_the_jitter_is_full_and_comes_on_top(attempt: int, floor: float, random: object) -> None:
    """A wait is never less than the server asked for, nor more than the ceiling above it."""
    uniform = random.uniform  # type: ignore[attr-defined]  # Hypothesis gives a random.Random without a public type

    assert floor <= BACKOFF.delay(attempt, floor_seconds=floor, uniform=uniform) <= floor + BACKOFF.ceiling(attempt)


def test_the_jitter_starts_at_nothing() -> None:
    """Full jitter spreads over the whole range, from no wait at all to the ceiling."""
    assert BACKOFF.delay(3, uniform=lambda low, high: low) == 0
    assert BACKOFF.delay(3, uniform=lambda low, high: high) == 4
