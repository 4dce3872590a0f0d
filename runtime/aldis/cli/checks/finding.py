"""What a check has found: its name, how it is, in words, and what to do when it is not well."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a check ended. Only a failure is a reason to say that something is broken."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report. `name` is stable, `remedy` is there whenever the outcome is not `ok`."""

    name: str
    outcome: Outcome
    detail: str
    remedy: str | None = None


def ok(name: str, detail: str) -> Finding:
    """It is well."""
    return Finding(name=name, outcome=Outcome.OK, detail=detail)


def warn(name: str, detail: str, remedy: str) -> Finding:
    """It works, but somebody should look."""
    return Finding(name=name, outcome=Outcome.WARN, detail=detail, remedy=remedy)


def fail(name: str, detail: str, remedy: str) -> Finding:
    """It does not work, or will not."""
    return Finding(name=name, outcome=Outcome.FAIL, detail=detail, remedy=remedy)


def guarded(name: str, check: Callable[[], Finding | Iterable[Finding]]) -> Iterator[Finding]:
    """What a check finds; a system that refuses to answer it is a finding, too."""
    try:
        found = check()
        yield from (found,) if isinstance(found, Finding) else found
    except OSError as error:
        remedy = "Run `aldis doctor` as the user that runs `aldis serve`."
        yield fail(name, f"cannot be looked at: {error}", remedy)


def to_size(number: float) -> str:
    """Bytes for people."""
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:  # noqa: PLR2004 - the step from unit to unit
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"
