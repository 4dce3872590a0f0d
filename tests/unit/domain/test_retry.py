from hypothesis import given
from hypothesis import strategies as st

from aldis.domain.retry import RetryPolicy

policies = st.builds(
    RetryPolicy,
    initial_ms=st.integers(100, 60_000),
    factor=st.floats(1, 10),
    max_ms=st.integers(60_000, 10_000_000),
    max_attempts=st.integers(1, 50),
)
jitters = st.floats(0, 1, exclude_max=True)


@given(policies, jitters, st.integers(1, 60))
def test_a_wait_lies_within_its_bounds(policy: RetryPolicy, jitter: float, attempt: int) -> None:
    """Never sooner than a tenth of the first wait, never later than the longest, none after the last attempt."""
    delay = policy.delay_ms(attempt, jitter)

    if attempt >= policy.max_attempts:
        assert delay is None
    else:
        assert delay is not None
        assert policy.initial_ms // 10 <= delay <= policy.max_ms


@given(policies, jitters, st.integers(1, 49))
def test_waits_grow_with_the_attempts(policy: RetryPolicy, jitter: float, attempt: int) -> None:
    """With the same jitter a later ring never waits less."""
    first, second = policy.delay_ms(attempt, jitter), policy.delay_ms(attempt + 1, jitter)

    assert first is None or second is None or first <= second


def test_the_default_gives_up_after_eight_rings() -> None:
    """From five seconds, doubling, up to ten minutes."""
    waits = [RetryPolicy().delay_ms(attempt, 0.9999999) for attempt in range(1, 9)]

    assert waits == [4999, 9999, 19999, 39999, 79999, 159999, 319999, None]
