import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.search import STEP, Trial, best, next_rate

CEILING = 20_000


def offer(rate: int, *, capacity: int) -> Trial:
    return Trial(offered=rate, achieved=min(rate, capacity))


def find(capacity: int, stated: tuple[int, ...] = (1_000, 3_000, 5_000)) -> tuple[int, int]:
    """Return the highest sustained rate and how many trials it took beyond the stated rates."""
    trials = [offer(rate, capacity=capacity) for rate in stated]
    while (rate := next_rate(trials, ceiling=CEILING)) is not None:
        trials.append(offer(rate, capacity=capacity))
    found = best(trials)
    return int(found.offered) if found else 0, len(trials) - len(stated)


@given(capacity=st.integers(min_value=STEP, max_value=CEILING))
def test_the_search_ends_within_a_step_of_the_capacity(capacity: int) -> None:
    """Whatever the server can do, the search ends soon and is never more than a step below it."""
    highest, trials = find(capacity)

    assert capacity - STEP < highest * 1.02 + 1
    assert highest * 0.98 <= capacity
    assert trials <= 12


def test_a_server_below_every_rate_is_found_downwards() -> None:
    """When the lowest stated rate fails, lower ones are tried."""
    assert find(600)[0] == 500


def test_the_search_stops_at_the_ceiling() -> None:
    """A server that sustains everything is not loaded beyond the ceiling."""
    assert find(10 * CEILING)[0] == CEILING


@pytest.mark.parametrize(
    ("trial", "is_sustained"),
    [
        (Trial(offered=1_000, achieved=980), True),
        (Trial(offered=1_000, achieved=979), False),
        (Trial(offered=1_000, achieved=1_000, lost=1), False),
    ],
)
def test_sustained_means_arrived_in_time_and_whole(trial: Trial, is_sustained: bool) -> None:
    """98 % must arrive while it is being offered, and nothing may be lost."""
    assert trial.is_sustained is is_sustained


def test_a_success_above_a_failure_does_not_count() -> None:
    """The highest sustained rate lies below every failure."""
    trials = [Trial(offered=rate, achieved=achieved) for rate, achieved in ((1_000, 1_000), (2_000, 0), (3_000, 3_000))]

    found = best(trials)

    assert found is not None
    assert found.offered == 1_000
