"""Options that several commands share, and the readers of their values. A value that cannot be read is wrong usage."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from aldis.cli.durations import parse_duration
from aldis.cli.server import Server, parse_server
from aldis.domain.errors import Rejected
from aldis.domain.ids import check_name, rfc3339
from aldis.domain.scheduling import parse_time

T = TypeVar("T")


def as_parser(parse: Callable[[str], T], name: str) -> Callable[[str], T]:
    """A reader of values for Typer: what it raises is told as wrong usage, in its own words."""

    def read(text: str) -> T:
        try:
            return parse(text)
        except (ValueError, Rejected) as error:
            raise typer.BadParameter(str(error)) from error

    read.__name__ = name
    return read


def _parse_moment(text: str) -> str:
    """A time as the server takes it: as it was given, or so long from now."""
    if text[:1].isdigit() and "T" not in text.upper():
        return rfc3339((int(time.time()) + parse_duration(text)) * 1000)
    try:
        return rfc3339(parse_time(text, "it"))
    except Rejected as error:
        raise ValueError(f"{text!r} is no time like 2026-11-24T08:00:00Z, and no duration like 10m") from error


def _parse_name(text: str) -> str:
    return check_name(text, "it")


read_name = as_parser(_parse_name, "name")
read_duration = as_parser(parse_duration, "duration")
read_moment = as_parser(_parse_moment, "moment")
read_server = as_parser(parse_server, "url")

DataDir = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="The data folder of `aldis serve` (also: ALDIS_DATA_DIR; else ./data).",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
Url = Annotated[
    Server | None,
    typer.Option(
        parser=read_server,
        metavar="URL",
        help="The server's address [default: http://127.0.0.1:8080].",
        show_default=False,
    ),
]
