import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.common_order import CommonOrder, Hearing
from bench.order import Verdict

NEXT, JUMP, REPEATED = Verdict.NEXT, Verdict.JUMP, Verdict.REPEATED


def hear(order: CommonOrder, numbers: list[int]) -> tuple[Hearing, list[Verdict]]:
    hearing = Hearing()
    return hearing, [order.judge(hearing, number) for number in numbers]


@pytest.mark.parametrize(
    ("numbers", "verdicts", "distinct"),
    [
        ([7, 5, 6], [NEXT, NEXT, NEXT], 3),
        ([7, 6, 5], [NEXT, JUMP, JUMP], 3),
        ([7, 7, 5, 6], [NEXT, REPEATED, NEXT, NEXT], 3),
        ([7, 6], [NEXT, JUMP], 2),
        ([7], [NEXT], 1),
    ],
)
def test_the_first_to_hear_tells_the_order(numbers: list[int], verdicts: list[Verdict], distinct: int) -> None:
    """Whatever order the first socket hears, every other must hear the same; a repeat takes no place."""
    order = CommonOrder()
    hear(order, [7, 5, 6])

    hearing, told = hear(order, numbers)

    assert (told, hearing.distinct) == (verdicts, distinct)


def test_a_repeat_on_the_first_socket_is_told() -> None:
    """The socket that tells the order cannot make a repeat part of it."""
    order = CommonOrder()

    hearing, told = hear(order, [1, 1, 2])

    assert told == [NEXT, REPEATED, NEXT]
    assert (order.heard, hearing.distinct) == ([1, 2], 2)


def test_a_gap_is_missing_and_what_follows_is_out_of_place() -> None:
    """A socket that lost one message has one fewer, and the first after the gap is told."""
    order = CommonOrder()
    hear(order, [1, 2, 3])

    hearing, told = hear(order, [1, 3])

    assert told[1] is JUMP
    assert hearing.distinct == 2


@given(st.permutations(range(6)), st.integers(min_value=1, max_value=4))
def test_sockets_that_agree_are_all_right(numbers: list[int], sockets: int) -> None:
    """Any order is right when all hear it."""
    order = CommonOrder()

    told = [verdict for _ in range(sockets) for verdict in hear(order, numbers)[1]]

    assert set(told) == {NEXT}
