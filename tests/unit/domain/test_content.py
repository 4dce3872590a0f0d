import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldis.domain.content import MAX_CONTENT_BYTES, MAX_DEPTH, check_content_size, json_content, text_content
from aldis.domain.errors import Rejected

characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(characters),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(characters), inner, max_size=4),
    max_leaves=20,
)


@given(st.text(characters, min_size=1, max_size=500))
def test_a_text_is_kept_as_it_is(text: str) -> None:
    """Whatever was written is read again, line breaks, backslashes and emoji included."""
    assert json.loads(text_content(text)) == {"type": "text", "text": text}


@given(values)
def test_data_is_kept_as_it_is(value: Any) -> None:
    """Structured data survives its JSON form."""
    assert json.loads(json_content(value)) == {"type": "json", "data": value}


@pytest.mark.parametrize("text", ["\\u0000", "a\\\\u0000b", "\\", "u0000"])
def test_a_text_about_nul_is_no_nul(text: str) -> None:
    """Somebody may write of an escape without meaning it."""
    assert json.loads(text_content(text))["text"] == text


@pytest.mark.parametrize("text", ["", "\0", "a\0b", "\\\0", "\ud800", "x" * (MAX_CONTENT_BYTES + 1)])
def test_a_text_that_cannot_be_kept_is_refused(text: str) -> None:
    """Empty, oversized, half a character or with a NUL; the refusal names the field."""
    with pytest.raises(Rejected) as refused:
        text_content(text, field="content.text")

    assert refused.value.code in {"bad_request", "too_large"}


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), {"a": "\0"}, {"\0": 1}, ["\ud800"], {1, 2}, [[["\0"]]]], ids=repr
)
def test_data_that_is_no_json_is_refused(value: object) -> None:
    """What another reader could not read, or a database not hold, is the caller's fault."""
    with pytest.raises(Rejected):
        json_content(value)


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"a": inner}], ids=["lists", "objects"])
def test_nesting_has_a_limit(wrap: Any) -> None:
    """The deepest allowed is taken; deeper is refused before anything recurses into it."""
    value: object = 1
    for _ in range(MAX_DEPTH - 1):
        value = wrap(value)
    json_content(value)

    for _ in range(100_000):
        value = wrap(value)
    with pytest.raises(Rejected):
        json_content(value)


@given(st.integers(0, 200), st.integers(0, 200))
def test_sizes_are_counted_in_bytes_of_json(size: int, limit: int) -> None:
    """Exactly the limit is allowed."""
    if size <= limit:
        check_content_size(b"x" * size, limit)
    else:
        with pytest.raises(Rejected) as refused:
            check_content_size(b"x" * size, limit)
        assert refused.value.code == "too_large"


def test_a_text_is_measured_in_its_json_form() -> None:
    """Escapes and wide characters count as the bytes that they take."""
    assert len(text_content("ü" * 10)) == len(text_content("x" * 10)) + 10
    with pytest.raises(Rejected):
        text_content("\n" * (MAX_CONTENT_BYTES // 2))
