"""Work that is handed out again when it fails: for how long, and when it is set aside.

The same rules hold for every broker. Of what is set aside nothing is lost: the database still says what is due.
"""

from enum import StrEnum

from aldis.domain.errors import AldisError, Unavailable

DELIVERY_LIMIT = 20  # failed attempts after the first; with the waits below that is at least 80 s of trying
FIRST_WAIT_SECONDS = 1.0  # long enough for a blip to pass, short beside any due time
LONGEST_WAIT_SECONDS = 10.0  # so that work goes on soon after what it needs is back


class Poison(AldisError):
    """An item that can never be worked on, such as one that cannot be read. It is set aside at once."""


class Verdict(StrEnum):
    """What becomes of an item whose handler raised."""

    FAILED = "failed"  # comes again after a while, and this attempt counts
    POSTPONED = "postponed"  # comes again after a while; what it needs is away, which is not its fault
    DEAD = "dead"  # is set aside


def judge(error: Exception, failures: int) -> Verdict:
    """The verdict on an item that has failed `failures` times before."""
    if isinstance(error, Poison):
        return Verdict.DEAD
    if isinstance(error, Unavailable):
        return Verdict.POSTPONED
    return Verdict.DEAD if failures >= DELIVERY_LIMIT else Verdict.FAILED


def wait_seconds(failures: int, jitter: float) -> float:
    """How long an item that has failed `failures` times before waits; `jitter` is random in [0, 1).

    Half of the wait is fixed, so that a failure is never repeated at once.
    """
    ceiling = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(failures, 16))
    return ceiling * (0.5 + 0.5 * jitter)
