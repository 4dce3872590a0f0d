"""The search for the highest rate that is sustained: up while it holds, then halving the interval."""

from collections.abc import Sequence
from dataclasses import dataclass

SUSTAINED_SHARE = 0.98  # of the offered rate must arrive while it is being offered
STEP = 500  # messages a second: the answer is not told more finely than this
GROWTH = 1.25  # how far a rate goes up while none has failed yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One rate that was offered, what arrived of it in the same time, and how many messages were lost."""

    offered: float
    achieved: float
    lost: int = 0

    @property
    def is_sustained(self) -> bool:
        """Tell whether at least 98 % arrived in time and nothing was lost."""
        return self.lost == 0 and self.achieved >= SUSTAINED_SHARE * self.offered


def best(trials: Sequence[Trial]) -> Trial | None:
    """Return the sustained trial with the highest rate below the lowest failure, if there is one."""
    ceiling = min((trial.offered for trial in trials if not trial.is_sustained), default=float("inf"))
    sustained = [trial for trial in trials if trial.is_sustained and trial.offered < ceiling]
    return max(sustained, key=lambda trial: trial.offered, default=None)


def next_rate(trials: Sequence[Trial], *, ceiling: int) -> int | None:
    """Return the next rate worth trying, or nothing when the highest is known to within a step."""
    floor = best(trials)
    low = int(floor.offered) if floor else 0
    failed = [trial.offered for trial in trials if not trial.is_sustained]
    if not failed:
        rate = min(ceiling, _on_step(low * GROWTH)) if low else STEP
        return rate if rate > low else None
    high = min(failed)
    if high - low <= STEP:
        return None
    return min(max(_on_step((low + high) / 2), low + STEP), int(high) - 1)


def _on_step(rate: float) -> int:
    return max(STEP, round(rate / STEP) * STEP)
