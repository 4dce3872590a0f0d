import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldis.cli.durations import MAX_SECONDS, UNITS, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("15m", 900), ("1h", 3600), ("7d", 604_800), ("1h30m", 5400), ("3650d", MAX_SECONDS)],
)
def test_a_duration_is_read_in_seconds(text: str, seconds: int) -> None:
    """Units are those that people type."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "1", "h", "1y", "-1h", "1.5h", "1 h", "1H", "0s", "3651d", "٣s", "1h\n"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Nothing is guessed, and nothing has no length or no end."""
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@given(st.integers(1, 3650), st.sampled_from(sorted(UNITS)))
def test_every_number_of_every_unit_is_read(number: int, unit: str) -> None:
    """A duration is its number times its unit."""
    assert parse_duration(f"{number}{unit}") == number * UNITS[unit]
