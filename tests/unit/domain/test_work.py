import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldis.domain.errors import AldisError, Rejected, Unavailable
from aldis.domain.work import DELIVERY_LIMIT, LONGEST_WAIT_SECONDS, Poison, Verdict, judge, wait_seconds


@pytest.mark.parametrize(
    ("error", "failures", "verdict"),
    [
        (RuntimeError("a bug"), 0, Verdict.FAILED),
        (Rejected("conflict", "no"), DELIVERY_LIMIT - 1, Verdict.FAILED),
        (RuntimeError("a bug"), DELIVERY_LIMIT, Verdict.DEAD),
        (Unavailable("the database is away"), 0, Verdict.POSTPONED),
        (Unavailable("the database is away"), 10 * DELIVERY_LIMIT, Verdict.POSTPONED),
        (Poison("cannot be read"), 0, Verdict.DEAD),
        (AldisError("something else"), 0, Verdict.FAILED),
    ],
)
def test_what_a_handler_raises_decides(error: Exception, failures: int, verdict: Verdict) -> None:
    """Poison is dead at once, a missing dependency is nobody's fault, anything else has a limit."""
    assert judge(error, failures) is verdict


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_waits_grow_to_a_bound_and_are_never_nothing(failures: int, jitter: float) -> None:
    """Whatever the jitter, a failure is not repeated at once and work goes on soon."""
    wait = wait_seconds(failures, jitter)

    assert 0.5 <= wait <= LONGEST_WAIT_SECONDS
    assert wait_seconds(failures + 1, jitter) >= wait
