from collections import Counter

import pytest

from bench.schedule import Schedule

STEADY = Schedule(rate=100, seconds=3, pairs=120, active=50)


@pytest.mark.parametrize(
    ("elapsed", "due"), [(-0.01, 0), (0.0, 1), (0.0099, 1), (0.0101, 2), (1.001, 101), (2.995, 300), (9.0, 300)]
)
def test_messages_are_due_by_the_clock_alone(elapsed: float, due: int) -> None:
    """Message n is due at n / rate, and no more than the phase has."""
    assert STEADY.due(elapsed) == due


def test_the_active_pairs_share_a_second_equally() -> None:
    """In each second every active pair sends the same number of messages."""
    counts = Counter(STEADY.pair(number) for number in range(100))

    assert counts == dict.fromkeys(range(50), 2)


def test_the_window_rotates_and_wraps() -> None:
    """Each second another window is active, and after the last pair comes the first."""
    third = {STEADY.pair(number) for number in range(200, 300)}

    assert third == {*range(100, 120), *range(30)}


def test_a_later_phase_goes_on_rotating() -> None:
    """A phase that starts at a later window does not load the same pairs again."""
    later = Schedule(rate=100, seconds=1, pairs=1_000, active=50, first_window=3)

    assert later.pair(0) == 150
