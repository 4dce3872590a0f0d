import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldis.cli.terminal import BIDI, HOSTILE, escape, paint_coloured, paint_for, paint_plain


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("grüße 👩‍🚀 日本", "grüße 👩‍🚀 日本"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x9b31m", "\\x9b31m"),
        ("\x7f\x00\x07", "\\x7f\\x00\\x07"),
        ("abc\u202etxt", "abc\\u202etxt"),
        ("\u2028", "\\u2028"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_could_drive_a_terminal_is_shown_instead(text: str, shown: str) -> None:
    """Controls, line breaks and reordering marks come out as text; letters and emoji stay."""
    assert escape(text) == shown


@given(st.text())
def test_an_escaped_text_is_one_harmless_line(text: str) -> None:
    """Whatever was sent, nothing is left that a terminal would obey, and escaping again changes nothing."""
    shown = escape(text)

    assert len(shown.splitlines()) <= 1
    assert not any(unicodedata.category(character) in HOSTILE or character in BIDI for character in shown)
    assert escape(shown) == shown


@pytest.mark.parametrize(
    ("stream", "env", "is_coloured"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    *, stream: io.StringIO, env: dict[str, str], is_coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file or a pipe never gets colours, and NO_COLOR (when it is not empty) turns them off."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in env.items():
        monkeypatch.setenv(name, value)

    assert paint_for(stream) is (paint_coloured if is_coloured else paint_plain)
