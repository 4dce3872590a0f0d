import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.order import Order, Verdict

NEXT, JUMP, LATE, REPEATED = Verdict.NEXT, Verdict.JUMP, Verdict.LATE, Verdict.REPEATED


@pytest.mark.parametrize(
    ("positions", "verdicts"),
    [
        ([1, 2, 3], [NEXT, NEXT, NEXT]),
        ([1, 1], [NEXT, REPEATED]),
        ([2, 1, 3], [JUMP, LATE, NEXT]),
        ([1, 4, 3, 2, 3], [NEXT, JUMP, LATE, LATE, REPEATED]),
        ([0], [REPEATED]),
    ],
)
def test_each_position_gets_its_verdict(positions: list[int], verdicts: list[Verdict]) -> None:
    """What comes too early, too late or again is told apart."""
    order = Order()

    assert [order.judge(position) for position in positions] == verdicts


def test_what_was_applied_before_is_a_repeat() -> None:
    """A device that has applied up to 7 expects 8."""
    order = Order(start=7)

    assert [order.judge(7), order.judge(8)] == [REPEATED, NEXT]


@given(st.permutations(range(1, 9)))
def test_no_order_of_arrival_loses_or_repeats(positions: list[int]) -> None:
    """In whatever order all positions come, no gap is left and none counts as repeated."""
    order = Order()

    verdicts = [order.judge(position) for position in positions]

    assert order.gaps == set()
    assert order.last == len(positions)
    assert REPEATED not in verdicts
