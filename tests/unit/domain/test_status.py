import itertools
from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldis.domain.ids import DeviceId, UserId
from aldis.domain.status import LEADS_TO, Passage, Status, Step, follow, is_waiting, may_become, status_of

BOB = UserId("bob")
MOVES = [Step.SENT, Step.ACKED, Step.READ]  # what devices do
LEGAL = {
    (Status.PENDING, Status.SENT),  # written to a socket
    (Status.PENDING, Status.DELIVERED),  # the note of the writing came too late, or never
    (Status.PENDING, Status.READ),  # read by REST
    (Status.PENDING, Status.FAILED),
    (Status.SENT, Status.DELIVERED),
    (Status.SENT, Status.READ),
    (Status.SENT, Status.FAILED),
    (Status.DELIVERED, Status.READ),
    (Status.FAILED, Status.DELIVERED),  # a late acknowledgement
    (Status.FAILED, Status.READ),
    (Status.FAILED, Status.PENDING),  # a replay
}
PAIRS = list(itertools.product(Status, repeat=2))


def passages_of(steps: Iterable[Step]) -> st.SearchStrategy[list[Passage]]:
    devices = st.sampled_from([DeviceId("a"), DeviceId("b"), None])
    return st.lists(st.builds(Passage, st.sampled_from(list(steps)), devices, st.integers(0, 50)), max_size=6)


passages, moves = passages_of(Step), passages_of(MOVES)


@pytest.mark.parametrize(("before", "after"), sorted(LEGAL))
def test_a_legal_step_is_taken(before: Status, after: Status) -> None:
    """The table lets it, and it is what becomes."""
    assert may_become(before, after)
    assert follow(before, after) is after


@pytest.mark.parametrize(("before", "after"), sorted(set(PAIRS) - LEGAL))
def test_an_illegal_step_changes_nothing(before: Status, after: Status) -> None:
    """The table does not let it, and whoever notes it late finds the status as it was."""
    assert not may_become(before, after)
    assert follow(before, after) is before


def test_what_waits_is_what_can_fail() -> None:
    """Only what no device has acknowledged is rung for, and only that expires."""
    assert [status for status in Status if is_waiting(status)] == [Status.PENDING, Status.SENT]


@pytest.mark.parametrize("steps", list(itertools.product([False, True], repeat=3)))
def test_the_furthest_step_is_the_status(steps: tuple[bool, bool, bool]) -> None:
    """Read beats delivered beats sent beats pending, whichever of them are known."""
    known = [Passage(step, None, 1) for step, there in zip(MOVES, steps, strict=True) if there]
    sent, acked, read = steps
    expected = Status.READ if read else Status.DELIVERED if acked else Status.SENT if sent else Status.PENDING

    assert status_of(BOB, known).status is expected


@given(passages, st.randoms())
def test_the_order_of_notes_does_not_matter(known: list[Passage], dice: Random) -> None:
    """Each step has the time of its first device, however late it was noted."""
    shuffled = list(known)
    dice.shuffle(shuffled)

    assert status_of(BOB, shuffled) == status_of(BOB, known)


@given(moves, moves)
def test_a_status_never_goes_back_by_what_devices_do(known: list[Passage], more: list[Passage]) -> None:
    """Learning more moves it forward or leaves it."""
    order = list(Status)

    assert order.index(status_of(BOB, known + more).status) >= order.index(status_of(BOB, known).status)


def test_what_was_acknowledged_was_sent() -> None:
    """An acknowledgement without a note of the writing gives the time of sending, too."""
    status = status_of(BOB, [Passage(Step.ACKED, DeviceId("a"), 7), Passage(Step.SENT, DeviceId("a"), 9)])

    assert (status.sent_at, status.delivered_at) == (7, 7)


@given(passages)
def test_what_was_acknowledged_never_fails(known: list[Passage]) -> None:
    """Failures and replays, whenever they are noted, take nothing from what a device has said."""
    has_it = {step for passage in known if (step := passage.step) in {Step.ACKED, Step.READ}}
    status = status_of(BOB, known).status

    assert not has_it or status in {Status.DELIVERED, Status.READ}


FAILED = Passage(Step.FAILED, None, 20, "attempts_exhausted")


@pytest.mark.parametrize(
    ("steps", "status", "failed_at"),
    [
        ([(Step.SENT, 10)], Status.FAILED, 20),
        ([(Step.SENT, 30)], Status.FAILED, 20),  # it is written to a device that came back: not acknowledged yet
        ([(Step.ACKED, 30)], Status.DELIVERED, None),
        ([(Step.READ, 30)], Status.READ, None),
        ([(Step.ACKED, 20)], Status.DELIVERED, None),  # in the same millisecond
        ([(Step.REPLAYED, 30)], Status.PENDING, None),
        ([(Step.SENT, 10), (Step.REPLAYED, 30)], Status.PENDING, None),
        ([(Step.REPLAYED, 30), (Step.SENT, 40)], Status.SENT, None),
        ([(Step.REPLAYED, 30), (Step.FAILED, 50)], Status.FAILED, 50),
        ([(Step.REPLAYED, 30), (Step.FAILED, 50), (Step.ACKED, 60)], Status.DELIVERED, None),
    ],
)
def test_a_failure_holds_until_it_is_turned_around(
    steps: list[tuple[Step, int]], status: Status, failed_at: int | None
) -> None:
    """By an acknowledgement, a read or a replay; and its time and reason are told as long."""
    told = status_of(BOB, [FAILED, *(Passage(step, None, at, "expired") for step, at in steps)])

    assert (told.status, told.failed_at) == (status, failed_at)
    assert told.reason == {None: None, 20: "attempts_exhausted", 50: "expired"}[failed_at]


def test_every_step_leads_somewhere() -> None:
    """And there is a step for each status."""
    assert set(LEADS_TO) == set(Step)
    assert set(LEADS_TO.values()) == set(Status)
