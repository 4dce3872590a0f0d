import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldis.api.paging import CONVERSATION_PLACE, HISTORY_PLACE, RECIPIENT_PLACE, decode_place, encode_place
from aldis.domain.errors import Rejected
from aldis.domain.streams import MAX_POSITION


@given(st.sampled_from(["before", "after"]), st.integers(0, MAX_POSITION))
def test_a_place_comes_back_as_it_was(direction: str, seq: int) -> None:
    """Reading what was written gives the same, for every place."""
    assert decode_place(encode_place(direction, seq), HISTORY_PLACE) == (direction, seq)


@given(st.text(max_size=40))
def test_anything_else_is_refused_as_a_bad_cursor(text: str) -> None:
    """A cursor that is none is the caller's fault, never ours."""
    with pytest.raises(Rejected) as refused:
        decode_place(text, CONVERSATION_PLACE)

    assert (refused.value.code, refused.value.field) == ("bad_cursor", "cursor")


@pytest.mark.parametrize(
    "place", [("before", -1), ("before", 2**60), ("beside", 1), ("before",), ("before", "1"), ("before", True)]
)
def test_a_place_of_another_shape_is_refused(place: tuple[str | int, ...]) -> None:
    """Somebody made it up, or it belongs to another list."""
    with pytest.raises(Rejected):
        decode_place(encode_place(*place), HISTORY_PLACE)


def test_a_place_never_carries_what_no_name_holds() -> None:
    """What goes into a query is checked like everything from outside."""
    with pytest.raises(Rejected):
        decode_place(encode_place("bob\x00"), RECIPIENT_PLACE)
