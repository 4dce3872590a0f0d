"""Answers to look at, in columns, and answers for programs, in JSON."""

import json
from collections.abc import Sequence
from typing import Any

from aldis.cli.terminal import escape


def build_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with the columns under one another."""
    cells = [[escape(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def print_json(answer: Any) -> None:
    """One JSON value on one line."""
    print(to_json_line(answer), flush=True)


def to_json_line(answer: Any) -> str:
    """One JSON value; ASCII, so no text in it can drive a terminal."""
    return json.dumps(answer, separators=(",", ":"))
