"""Writing to a terminal: escapes what could drive it, and paints only where colours can be seen and are wanted."""

import os
import sys
import unicodedata
from collections.abc import Callable
from typing import TextIO

Paint = Callable[[str, str], str]
"""Gives a text (first) in a style (second, one of `STYLES`)."""

STYLES = {"dim": "2", "bold": "1", "sender": "36", "alarm": "31", "good": "32", "odd": "33"}
HOSTILE = frozenset({"Cc", "Cs", "Zl", "Zp"})  # controls, lone surrogates, line and paragraph separators
BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # they reorder a line
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def escape(text: str) -> str:
    """The text on one line, with nothing in it that a terminal would obey rather than show."""
    return "".join(map(_escape_character, text))


def _escape_character(character: str) -> str:
    if unicodedata.category(character) not in HOSTILE and character not in BIDI:
        return character
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")  # noqa: PLR2004 - one byte


def paint_plain(text: str, style: str) -> str:  # noqa: ARG001 - it is a Paint
    """Paint nothing."""
    return text


def paint_coloured(text: str, style: str) -> str:
    """Paint with ANSI colours."""
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m"


def paint_for(stream: TextIO) -> Paint:
    """How to paint on `stream`: colours for a terminal, unless NO_COLOR is set or the terminal knows none."""
    is_plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb" or not stream.isatty()
    return paint_plain if is_plain else paint_coloured


def say(line: str) -> None:
    """Tell the person at the terminal something, beside the answer: one line on standard error."""
    print(escape(line), file=sys.stderr, flush=True)
