import math

from bench.figures import Figure, Target
from bench.table import render


def test_the_table_tells_figures_and_targets() -> None:
    """A line for each figure, a column for each rate, and at the end whether the target is kept where it applies."""
    table = render(
        "B2",
        [
            Figure(name="p99", unit="ms", column="1,000/s", value=21.256, target=Target(limit=20)),
            Figure(name="p99", unit="ms", column="3,000/s", value=40),
            Figure(name="sent", column="1,000/s", value=10_000),
            Figure(name="lost", column="3,000/s", value=0, target=Target(limit=0)),
            Figure(name="told", column="1,000/s", value=math.nan),
        ],
    )

    assert table.splitlines() == [
        "B2",
        "            1,000/s  3,000/s  target",
        "  p99 (ms)   !21.26       40  <= 20 at 1,000/s: MISSED",
        "  sent       10,000        -",
        "  lost            -        0  0: met",
        "  told            -        -",
    ]
