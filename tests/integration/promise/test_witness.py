"""A judge that cannot say no proves nothing: what the witness and the ledger must notice."""

import pytest

from integration.promise.ledger import Ledger
from integration.promise.wire import Connected, Event, Frame, Message
from integration.promise.witness import Places, Witness


def welcome(s: int, *, recovered: bool = True) -> Frame:
    return Frame(id=0, connect=Connected(cursor=f"abc.e0.s{s}.be0.bs0.r0", recovered=recovered))


def news(*positions: int, names: str = "abcdefghi") -> Frame:
    """A frame of `s` in which position n is the n-th message of one conversation."""
    return Frame(
        source="s",
        events=[Event(pos=at, type="message", message=Message(names[at], "chat", at)) for at in positions],
    )


def judged(*frames: Frame) -> Witness:
    witness = Witness("bob", "d1", Places())
    for frame in frames:
        witness.judge(frame)
    return witness


def test_what_comes_as_it_should_is_no_fault() -> None:
    """Positions one by one, and a repeat after coming back, are as promised."""
    witness = judged(welcome(0), news(1, 2), news(3), welcome(1), news(2, 3), news(4))

    assert (witness.faults, witness.repeated, witness.shown) == ([], 2, set("bcde"))


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([welcome(0), news(1), news(3)], id="a hole"),
        pytest.param([welcome(0), news(2)], id="a hole after the welcome"),
        pytest.param([welcome(0), news(1, 2), news(2)], id="a repeat on one connection"),
        pytest.param([welcome(0), news(2, 1)], id="the wrong order"),
        pytest.param([welcome(0), news(1), welcome(2), news(3)], id="a welcome beyond what was applied"),
        pytest.param([welcome(0), news(1), news(2, names="abb")], id="one message at two positions"),
        pytest.param([welcome(0), news(1), welcome(0), news(1, names="axc")], id="another message at a position"),
    ],
)
def test_each_fault_is_noticed(frames: list[Frame]) -> None:
    """Every way to lose, double or disorder is told in words."""
    assert judged(*frames).faults


def test_a_ledger_fails_for_each_broken_promise() -> None:
    """A send without an answer, an answer that did not arrive, and two answers to one send fail the check."""
    for breaking in ("unanswered", "missing", "answered twice"):
        ledger = Ledger()
        witness = ledger.witness("bob", "d1")
        witness.judge(welcome(0))
        ledger.sending("one", "bob")
        if breaking != "unanswered":
            ledger.answered("one", "b", "chat", 1)
        if breaking != "missing":
            witness.judge(news(1))
        if breaking == "answered twice":
            ledger.answered("one", "c", "chat", 2)

        with pytest.raises(AssertionError):
            ledger.check()
