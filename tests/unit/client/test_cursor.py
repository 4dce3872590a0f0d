import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldis_client.cursor import SOURCES, Cursor
from aldis_client.errors import CursorError

POSITIONS = st.integers(min_value=0, max_value=10**18)
CURSORS = st.builds(
    Cursor,
    st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=32),
    st.fixed_dictionaries(dict.fromkeys(SOURCES, POSITIONS)),
)


@given(CURSORS)
def test_reading_a_cursor_undoes_writing_it(cursor: Cursor) -> None:
    """Reading and writing are each other's inverse, for every cursor."""
    assert Cursor.parse(str(cursor)) == cursor
    assert hash(Cursor.parse(str(cursor))) == hash(cursor)


@given(CURSORS, st.sampled_from(SOURCES), POSITIONS)
def test_a_position_never_moves_back(cursor: Cursor, source: str, position: int) -> None:
    """Advancing takes the higher of two positions and leaves the other sources where they are."""
    moved = cursor.advance(source, position)

    assert moved.at(source) == max(cursor.at(source), position)
    assert all(moved.at(other) == cursor.at(other) for other in SOURCES if other != source)


def test_a_cursor_is_written_in_the_order_of_the_contract() -> None:
    """The text names the epoch and then e, s, be, bs and r."""
    assert str(Cursor("k3", {"r": 17, "s": 151, "e": 12, "bs": 88, "be": 3})) == "k3.e12.s151.be3.bs88.r17"


def test_a_source_of_a_later_version_is_kept() -> None:
    """What this version does not know goes back to the server as it came."""
    assert str(Cursor.parse("k3.e1.s2.be3.bs4.r5.x9").advance("s", 7)) == "k3.e1.s7.be3.bs4.r5.x9"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "k3",
        "k3.e1",
        "k3.e1.s2.be3.bs4",
        "k3.e1.s2.be3.bs4.r-5",
        "k3.e01.s2.be3.bs4.r5",
        ".e1.s2.be3.bs4.r5",
        "k3.e1.e1.s2.be3.bs4.r5",
    ],
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    """A missing source, a number that is not canonical, a source named twice: none is a cursor."""
    with pytest.raises(CursorError):
        Cursor.parse(text)
