import math

import pytest

from bench.figures import Across, Figure, Target, combine, missed, percentile


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([5.0], 0.99, 5.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([1.0, 2.0], 0.5, 1.0),
        ([float(n) for n in range(1, 101)], 0.99, 99.0),
        ([float(n) for n in range(1, 101)], 1.0, 100.0),
        ([1.0, 2.0], 0.0, 1.0),
    ],
)
def test_a_percentile_is_the_nearest_rank(values: list[float], share: float, expected: float) -> None:
    """A percentile is a value that was measured, the smallest that has the share at or below it."""
    assert percentile(values, share) == expected


def test_nothing_measured_has_no_percentile() -> None:
    """An empty list gives no number, which no target takes for kept."""
    value = percentile([], 0.5)

    assert math.isnan(value)
    assert not Figure(name="p50", value=value, target=Target(limit=1)).is_met


def test_runs_are_told_as_medians() -> None:
    """One slow run of three does not move a speed."""
    runs = [[Figure(name="speed", value=value)] for value in (10.0, 1.0, 12.0)]

    assert combine(runs) == [Figure(name="speed", value=10.0)]


def test_what_must_never_happen_is_told_as_the_worst() -> None:
    """A message lost in one run of three is told."""
    lost = [Figure(name="lost", value=value, across=Across.WORST) for value in (0.0, 0.0, 1.0)]

    assert [figure.value for figure in combine([[figure] for figure in lost])] == [1.0]


def test_a_median_needs_every_run() -> None:
    """A speed that one run could not measure is not known."""
    runs = [[Figure(name="speed", value=value)] for value in (10.0, math.nan)]

    assert math.isnan(combine(runs)[0].value)


def test_columns_are_kept_apart() -> None:
    """The same figure at two rates is two figures, in the order in which they came."""
    run = [Figure(name="p99", column="1/s", value=1), Figure(name="p99", column="2/s", value=2)]

    assert combine([run, run]) == run


@pytest.mark.parametrize(
    ("target", "value", "is_met"),
    [
        (Target(limit=20), 20, True),
        (Target(limit=20), 20.1, False),
        (Target(limit=3000, at_least=True), 3000, True),
        (Target(limit=3000, at_least=True), 2999, False),
    ],
)
def test_a_limit_itself_is_kept(target: Target, value: float, is_met: bool) -> None:
    """A figure at the limit meets it, one beyond misses it."""
    figure = Figure(name="figure", value=value, target=target)

    assert missed([figure]) == ([] if is_met else [figure])
