"""Finding the one that the database refuses: a group that cannot be stored is halved until that one fails alone."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from aldis.domain.errors import AldisError, Rejected, Unavailable
from aldis.ports.store import Unstorable

T = TypeVar("T")
R = TypeVar("R")
Commit = Callable[[Sequence[T]], Awaitable[list[R | AldisError]]]


async def commit_or_halve(group: Sequence[T], commit: Commit[T, R]) -> list[R | AldisError]:
    """One answer for each, in order; raises what `commit` does, other than `Unstorable`."""
    try:
        return await commit(group)
    except Unstorable:
        if len(group) == 1:
            return [Rejected("unstorable", "the database refuses this message; change its content")]
    middle = len(group) // 2
    # One after the other: the halves may share conversations, whose order must hold.
    return await _half(group[:middle], commit) + await _half(group[middle:], commit)


async def _half(group: Sequence[T], commit: Commit[T, R]) -> list[R | AldisError]:
    try:
        return await commit_or_halve(group, commit)
    except Unavailable as error:
        return [error] * len(group)  # of this half only: the other may be stored
