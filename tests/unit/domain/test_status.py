import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldis.domain.ids import DeviceId, UserId
from aldis.domain.status import Passage, Status, Step, status_of

BOB = UserId("bob")
passages = st.lists(
    st.builds(
        Passage, st.sampled_from(Step), st.sampled_from([DeviceId("a"), DeviceId("b"), None]), st.integers(0, 50)
    ),
    max_size=6,
)


@pytest.mark.parametrize("steps", list(itertools.product([False, True], repeat=3)))
def test_the_furthest_step_is_the_status(steps: tuple[bool, bool, bool]) -> None:
    """Read beats delivered beats sent beats pending, whichever of them are known."""
    known = [Passage(step, None, 1) for step, there in zip(Step, steps, strict=True) if there]
    sent, acked, read = steps
    expected = Status.READ if read else Status.DELIVERED if acked else Status.SENT if sent else Status.PENDING

    assert status_of(BOB, known).status is expected


@given(passages, st.randoms())
def test_the_order_of_notes_does_not_matter(known: list[Passage], dice: Random) -> None:
    """Each step has the time of its first device, however late it was noted."""
    shuffled = list(known)
    dice.shuffle(shuffled)

    assert status_of(BOB, shuffled) == status_of(BOB, known)


@given(passages, passages)
def test_a_status_never_goes_back(known: list[Passage], more: list[Passage]) -> None:
    """Learning more moves it forward or leaves it."""
    order = list(Status)

    assert order.index(status_of(BOB, known + more).status) >= order.index(status_of(BOB, known).status)


def test_what_was_acknowledged_was_sent() -> None:
    """An acknowledgement without a note of the writing gives the time of sending, too."""
    status = status_of(BOB, [Passage(Step.ACKED, DeviceId("a"), 7), Passage(Step.SENT, DeviceId("a"), 9)])

    assert (status.sent_at, status.delivered_at) == (7, 7)
