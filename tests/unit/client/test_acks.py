from hypothesis import given
from hypothesis import strategies as st

from aldis_client.acks import MAX_EVENTS, Acks


@given(st.lists(st.tuples(st.sampled_from(["e", "s", "bs"]), st.integers(0, 50), st.booleans())))
def test_acknowledgements_only_grow_and_end_at_the_highest(steps: list[tuple[str, int, bool]]) -> None:
    """Whatever is reached in whatever order, each frame says more than the last, and nothing is left out."""
    acks, told, reached = Acks(), dict[str, int](), dict[str, int]()
    for source, position, take in [*steps, ("e", 0, True)]:
        acks.reach({source: position}, events=1)
        reached[source] = max(position, reached.get(source, 0))
        owed = acks.take() if take else {}
        assert all(at > told.get(name, 0) for name, at in owed.items())
        told.update(owed)

    assert told == {source: at for source, at in reached.items() if at > 0}
    assert not acks.is_owed


def test_enough_events_make_a_frame_at_once() -> None:
    """64 events are company enough; taking them starts the count again."""
    acks = Acks()
    acks.reach({"s": MAX_EVENTS - 1}, events=MAX_EVENTS - 1)
    was_full = acks.is_full

    acks.reach({"s": MAX_EVENTS}, events=1)

    assert (was_full, acks.is_full) == (False, True)
    assert acks.take() == {"s": MAX_EVENTS}
    assert [acks.is_full] == [False]


def test_a_new_connection_is_told_again() -> None:
    """The last one may have taken an acknowledgement with it, so it is repeated; once."""
    acks = Acks()
    acks.reach({"s": 7})
    acks.take()

    acks.reconnected()

    assert acks.take() == {"s": 7}
    assert acks.take() == {}


def test_another_epoch_owes_nothing() -> None:
    """Positions of a state that is gone are never acknowledged."""
    acks = Acks()
    acks.reach({"s": 7}, events=1)

    acks.clear()

    assert acks.take() == {}
