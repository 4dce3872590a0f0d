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
    """Never sooner than a tenth of the first wait, never later than the longest."""
    assert policy.initial_ms // 10 <= policy.delay_ms(attempt, jitter) <= policy.max_ms


@given(policies, jitters)
def test_waits_grow_with_the_attempts(policy: RetryPolicy, jitter: float) -> None:
    """With the same jitter a later ring never waits less, up to the last."""
    waits = [policy.delay_ms(attempt, jitter) for attempt in range(1, policy.max_attempts)]

    assert waits == sorted(waits)


@given(policies, jitters)
def test_the_last_ring_has_time_to_be_answered(policy: RetryPolicy, jitter: float) -> None:
    """As long as the message had before its first, whatever the dice say."""
    assert policy.is_used_up(policy.max_attempts)
    assert policy.delay_ms(policy.max_attempts, jitter) == policy.initial_ms


def test_the_default_gives_up_after_eight_rings() -> None:
    """From five seconds, doubling, up to ten minutes; then five seconds more."""
    policy = RetryPolicy()
    waits = [policy.delay_ms(attempt, 0.9999999) for attempt in range(1, 9)]

    assert waits == [4999, 9999, 19999, 39999, 79999, 159999, 319999, 5000]
    assert [policy.is_used_up(attempt) for attempt in (0, 7, 8, 9)] == [False, False, True, True]
