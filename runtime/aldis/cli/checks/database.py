"""The database file: can it be read, is its schema ours, are its pages whole, how long is its log."""

import re
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from aldis.adapters.sql.inspection import Inspection, Unreadable
from aldis.adapters.sql.schema_state import Standing
from aldis.cli.checks.finding import Finding, fail, ok, to_size, warn
from aldis.domain.ids import created_ms, rfc3339

LONG_LOG_BYTES = 256 * 1024 * 1024  # a server begins it anew at 64 MiB
AHEAD_MS = 60_000  # of a clock that is merely not exact
RESTORE = "Stop the server, keep a copy of the file, and restore the last backup (docs/operations.md)."

Inspect = Callable[[Path], Inspection]


def check_database(path: Path, *, inspect: Inspect, revisions: Sequence[str], now_ms: int) -> Iterator[Finding]:
    """All that is to be said of a database file."""
    if not path.exists():
        remedy = "`aldis serve` makes it at its first start; if there was one, put it back or say --data-dir."
        yield warn("database", f"{path} is not there yet", remedy)
        return
    try:
        found = inspect(path)
    except Unreadable as error:
        yield _unreadable(path, error)
        return
    yield ok("database", f"{path}, {to_size(path.stat().st_size)}, opens")
    yield check_schema(found, revisions)
    yield check_pages(found)
    yield check_log(path.with_name(f"{path.name}-wal"))
    yield check_newest(found.newest_message, now_ms)


def _unreadable(path: Path, error: Unreadable) -> Finding:
    """A file that is no database needs a backup; one that cannot be opened may only need its rights."""
    words = str(error)
    is_broken = re.search(r"malformed|not a database|disk image|corrupt", words) is not None
    remedy = RESTORE if is_broken else "Run as the user that owns the file, and see that its folder can be written to."
    mode = stat.S_IMODE(path.stat().st_mode)
    return fail("database", f"{path} (mode {mode:04o}) cannot be read: {words}", remedy)


def check_schema(found: Inspection, revisions: Sequence[str]) -> Finding:
    """Of this version, of an older one, of a newer one that this program can use, or of one that it cannot."""
    newest, state = revisions[0], found.schema
    match state.standing(revisions):
        case Standing.EMPTY if not found.tables:
            return warn("schema", "there is none yet", "`aldis serve` makes it at its start.")
        case Standing.EMPTY:
            return fail("schema", "these are not the tables of Aldis", "Say the right --data-dir.")
        case Standing.CURRENT:
            return ok("schema", f"{state.revision}, the newest")
        case Standing.AHEAD:
            return ok("schema", f"{state.revision}, newer than this program's {newest}, which can use it")
        case Standing.BEHIND:
            remedy = "Take a backup; `aldis migrate` brings it up to date, and on SQLite the next start."
            return warn("schema", f"{state.revision} is older than this program's {newest}", remedy)
        case Standing.UNKNOWN:
            remedy = "Install the version of Aldis that made it, or a newer one; or restore the backup from before."
            return fail(
                "schema",
                f"{state.revision} is for programs that know {state.needs}; this one knows up to {newest}",
                remedy,
            )


def check_pages(found: Inspection) -> Finding:
    """What `PRAGMA quick_check` says."""
    if found.damage:
        return fail("integrity", f"the database is damaged: {'; '.join(found.damage)}", RESTORE)
    if not found.is_complete:
        return ok("integrity", "no damage in what was looked at in time; --full looks at all of it")
    return ok("integrity", "all pages are whole")


def check_log(log: Path) -> Finding:
    """The write-ahead log, which is copied into the database as it grows."""
    size = log.stat().st_size if log.exists() else 0
    if size <= LONG_LOG_BYTES:
        return ok("log", to_size(size))
    remedy = "Look in the server's log for `checkpoint_failed`, and end what reads the database all the time."
    return warn("log", f"the write-ahead log has {to_size(size)}, so it is not being copied back", remedy)


def check_newest(message: str | None, now_ms: int) -> Finding:
    """A message from the future means that this clock has been set back, or was ahead."""
    if message is None:
        return ok("messages", "none yet")
    at = created_ms(message)
    if at <= now_ms + AHEAD_MS:
        return ok("messages", f"the newest is of {rfc3339(at)}")
    remedy = "Set this machine's clock by NTP. Order does not depend on it; times and expiries do."
    return warn("messages", f"the newest is of {rfc3339(at)}, which is still to come", remedy)
