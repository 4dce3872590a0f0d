from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldis.domain.errors import Rejected
from aldis.domain.ids import check_uuid, rfc3339
from aldis.domain.scheduling import GRACE_MS, HORIZON_MS, due_ms_of, new_scheduled_id, parse_time, refuse_time

NOW = 1_800_000_000_000
TIMES = st.integers(min_value=0, max_value=2**47)


@given(TIMES)
def test_send_at_is_the_time_inside_the_id(due: int) -> None:
    """It is known as long as the id is, and the id is a UUID of version 7 like every other."""
    scheduled = new_scheduled_id(due)

    assert check_uuid(scheduled, "scheduled_id")[14] == "7"
    assert due_ms_of(scheduled) == due


@given(TIMES, TIMES, st.integers(0, 0xFFF), st.integers(0, 0xFFF))
def test_ids_sort_as_the_sends_are_due(one: int, other: int, first: int, second: int) -> None:
    """By time, and at one time by place."""
    if (one, first) != (other, second):
        assert (new_scheduled_id(one, first) < new_scheduled_id(other, second)) == ((one, first) < (other, second))


def test_ids_of_one_place_differ() -> None:
    """Two backends schedule for the same moment."""
    assert len({new_scheduled_id(NOW) for _ in range(1000)}) == 1000


@given(TIMES)
def test_a_time_that_was_written_is_read_again(ms: int) -> None:
    """What is told as RFC 3339 comes back as it was."""
    assert parse_time(rfc3339(ms), "send_at") == ms


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-24T08:00:00Z", datetime(2026, 11, 24, 8, tzinfo=UTC)),
        ("2026-11-24t08:00:00z", datetime(2026, 11, 24, 8, tzinfo=UTC)),
        ("2026-11-24T13:30:00+05:30", datetime(2026, 11, 24, 8, tzinfo=UTC)),
        ("2026-11-24T00:00:00.123456789-08:00", datetime(2026, 11, 24, 8, 0, 0, 123000, tzinfo=UTC)),
        ("2026-11-24T08:00:00.5Z", datetime(2026, 11, 24, 8, 0, 0, 500000, tzinfo=UTC)),
    ],
)
def test_every_form_of_rfc_3339_is_read(text: str, moment: datetime) -> None:
    """Offsets, fractions, small letters; to the millisecond."""
    assert parse_time(text, "send_at") == round(moment.timestamp() * 1000)


@pytest.mark.parametrize(
    "text",
    [
        "", "tomorrow", "1800000000", "2026-11-24", "2026-11-24T08:00:00", "2026-11-24 08:00:00Z",
        "2026-02-30T08:00:00Z", "2026-11-24T24:01:00Z", "2026-11-24T08:00:60Z",
        "2026-11-24T08:00:00+25:00", "2026-11-24T08:00:00Z\n",
        "\N{FULLWIDTH DIGIT TWO}026-11-24T08:00:00Z", "0000-01-01T00:00:00Z",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    """The field is named, and how a time is written."""
    with pytest.raises(Rejected) as refused:
        parse_time(text, "send_at")

    assert (refused.value.code, refused.value.field) == ("bad_request", "send_at")
    assert "2026-11-24T08:00:00Z" in refused.value.message


@pytest.mark.parametrize(
    ("due", "is_refused"),
    [
        (NOW, False),
        (NOW - GRACE_MS, False),
        (NOW - GRACE_MS - 1, True),
        (-1, True),
        (NOW + HORIZON_MS, False),
        (NOW + HORIZON_MS + 1, True),
    ],
)
def test_a_time_must_be_ahead_but_not_too_far(due: int, is_refused: bool) -> None:
    """Up to a year; a few seconds ago is forgiven."""
    refusal = refuse_time(due, NOW)

    assert (refusal is not None) == is_refused
    assert refusal is None or (refusal.code, refusal.field) == ("bad_request", "send_at")
