"""One measured figure, its target, and what three runs say together.

Speeds and times are told as the median of the runs. What must never happen (a message lost, repeated or out of
order) is told as the worst of them, because a median would hide it.
"""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class Across(StrEnum):
    """How the figures of several runs become one."""

    MEDIAN = "median"
    WORST = "worst"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The limit a figure has to keep."""

    limit: float
    at_least: bool = False

    def is_met(self, value: float) -> bool:
        """Tell whether `value` keeps the limit."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        """Read as `<= 20`, `>= 3,000` or `0`, which can only be kept exactly."""
        if not self.limit:
            return "0"
        return f"{'>=' if self.at_least else '<='} {self.limit:,g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One cell of the table: `name` is its row, `column` its column (a rate, or the scenario's only one)."""

    name: str
    value: float
    unit: str = ""
    column: str = "measured"
    target: Target | None = None
    across: Across = Across.MEDIAN

    @property
    def is_met(self) -> bool:
        """Tell whether there is no target or the figure keeps it; what could not be measured misses it."""
        return self.target is None or (not math.isnan(self.value) and self.target.is_met(self.value))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile; not a number when nothing was measured."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def combine(runs: Sequence[Sequence[Figure]]) -> list[Figure]:
    """Make one list of figures of the lists of several runs, in the order in which they first appear."""
    cells: dict[tuple[str, str], list[Figure]] = {}
    for figure in (figure for run in runs for figure in run):
        cells.setdefault((figure.name, figure.column), []).append(figure)
    return [replace(same[0], value=_across_runs(same)) for same in cells.values()]


def _across_runs(same: Sequence[Figure]) -> float:
    values = [figure.value for figure in same]
    known = [value for value in values if not math.isnan(value)]
    if same[0].across is Across.WORST:
        return max(known, default=math.nan)
    return statistics.median(known) if len(known) == len(values) else math.nan


def missed(figures: Iterable[Figure]) -> list[Figure]:
    """Return the figures that do not keep their targets."""
    return [figure for figure in figures if not figure.is_met]
