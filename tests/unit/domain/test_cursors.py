import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldis.domain.cursors import Cursor, Positions, parse_cursor
from aldis.domain.errors import Rejected
from aldis.domain.streams import MAX_POSITION, SOURCES, Source

positions = st.builds(Positions, **dict.fromkeys(SOURCES, st.integers(0, MAX_POSITION)))
epochs = st.from_regex(r"[a-z0-9]{1,32}", fullmatch=True)
cursors = st.builds(Cursor, epochs, positions)


def read_again(text: str) -> str:
    """What a text says as a cursor, or the code with which it is refused."""
    try:
        return str(parse_cursor(text))
    except Rejected as error:
        return error.code


@given(cursors)
def test_a_cursor_survives_being_written_down(cursor: Cursor) -> None:
    """What was formatted is parsed to the same cursor."""
    assert parse_cursor(str(cursor)) == cursor


@given(st.text())
def test_other_texts_are_refused(text: str) -> None:
    """Any text is a cursor that formats to itself, or is refused as `bad_cursor`."""
    assert read_again(text) in {text, "bad_cursor"}


@given(cursors, st.data())
def test_a_damaged_cursor_is_never_read_as_another_form(cursor: Cursor, data: st.DataObject) -> None:
    """With a character lost, doubled or changed it is refused, or is exactly what it now says."""
    text = str(cursor)
    at = data.draw(st.integers(0, len(text) - 1))
    damaged = text[:at] + data.draw(st.sampled_from(["", text[at] * 2, "x", "-", " ", "٣", "\n", "0"])) + text[at + 1 :]
    assert read_again(damaged) in {damaged, "bad_cursor"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a.e1.s1.be1.bs1",
        "a.e1.s1.be1.bs1.r1\n",
        " a.e1.s1.be1.bs1.r1",
        "A.e1.s1.be1.bs1.r1",
        "a.e01.s1.be1.bs1.r1",
        "a.e-1.s1.be1.bs1.r1",
        "a.e1.s1.be1.bs1.r٣",
        "a.s1.e1.be1.bs1.r1",
        f"a.e{MAX_POSITION + 1}.s1.be1.bs1.r1",
        "a.e99999999999999999999.s1.be1.bs1.r1",
        "a" * 33 + ".e1.s1.be1.bs1.r1",
    ],
)
def test_junk_is_refused(text: str) -> None:
    """Nothing that this service did not write is accepted."""
    with pytest.raises(Rejected):
        parse_cursor(text)


@given(positions, st.sampled_from(SOURCES), st.integers(0, MAX_POSITION))
def test_positions_never_go_back(before: Positions, source: Source, position: int) -> None:
    """Advancing gives the higher of both in that source and leaves the others alone."""
    after = before.advance(source, position)

    assert after.at(source) == max(before.at(source), position)
    assert all(after.at(other) == before.at(other) for other in SOURCES if other != source)
    assert after.advance(source, position) == after


@given(positions, positions, positions)
def test_positions_are_within_only_in_every_source(at: Positions, floor: Positions, head: Positions) -> None:
    """One source outside is enough to be outside."""
    inside = all(floor.at(source) <= at.at(source) <= head.at(source) for source in SOURCES)

    assert at.within(floor=floor, head=head) == inside
