from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from aldis.domain.deliveries import OUTCOME_OF, Reason, runs, united

ranges = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 6)).map(lambda pair: (pair[0], pair[0] + pair[1])))


def covered(found: list[tuple[int, int]]) -> list[int]:
    return [position for low, high in found for position in range(low + 1, high + 1)]


@given(st.sets(st.integers(1, 40)))
def test_runs_hold_each_position_once_and_are_as_few_as_can_be(positions: set[int]) -> None:
    """In order, with a gap between each two."""
    found = runs(positions)

    assert covered(found) == sorted(positions)
    assert all(before[1] < after[0] for before, after in pairwise(found))


@given(ranges)
def test_united_ranges_hold_what_the_ranges_hold(given_ranges: list[tuple[int, int]]) -> None:
    """Each position once, in order, with a gap between each two."""
    found = united(given_ranges)

    assert covered(found) == sorted(set(covered(given_ranges)))
    assert all(before[1] < after[0] for before, after in pairwise(found))


def test_every_reason_is_recorded_under_its_own_name() -> None:
    """What the record says is what a recipient's status says."""
    assert {reason: outcome.value for reason, outcome in OUTCOME_OF.items()} == {
        reason: reason.value for reason in Reason
    }
