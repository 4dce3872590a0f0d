"""Durations as people type them: `30s`, `15m`, `1h`, `7d`, `1h30m`."""

import re

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}  # seconds
MAX_SECONDS = 3650 * UNITS["d"]  # ten years: what is meant to last longer is not a token
_WHOLE = re.compile(r"([0-9]{1,9}[smhd])+", re.ASCII)
_PART = re.compile(r"([0-9]+)([smhd])", re.ASCII)


def parse_duration(text: str) -> int:
    """The seconds of a duration. Raises `ValueError` with words for people."""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration like 30s, 15m, 1h or 7d")
    seconds = sum(int(number) * UNITS[unit] for number, unit in _PART.findall(text))
    if not 1 <= seconds <= MAX_SECONDS:
        raise ValueError("a duration must be between 1s and 3650d")
    return seconds
