"""What a failure of PostgreSQL means to the store. The one place where its errors, and asyncpg's, are translated."""

from collections.abc import Generator
from contextlib import contextmanager

import asyncpg

from aldis.domain.errors import AldisError, Unavailable
from aldis.ports.store import Contention, OutcomeUnknown, Unstorable

CONTENTION_MS = 20
_LOST_A_RACE = ("40001", "40P01", "55P03")  # serialization failure, deadlock, lock not available
_READ_ONLY = "25006"
_FAILED_DATA = ("22", "23")  # the classes: what a value is, what a constraint forbids
_MOVED = ("08", "57P", _READ_ONLY)  # after these the server is another one, or none
_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, UnicodeEncodeError, OverflowError)


@contextmanager
def translated() -> Generator[None]:
    """Raise the port's errors for the driver's."""
    try:
        yield
    except _ERRORS as error:
        raise translate(error) from error


def translate(error: Exception) -> AldisError:
    """The port's error for one of a statement, which changed nothing."""
    state = _state(error)
    if state in _LOST_A_RACE or isinstance(error, asyncpg.InvalidCachedStatementError):
        return Contention("the database was changing the same rows", retry_after_ms=CONTENTION_MS)
    if state.startswith(_FAILED_DATA) or isinstance(error, (UnicodeEncodeError, OverflowError, asyncpg.DataError)):
        return Unstorable("the database refuses a row")
    if state == _READ_ONLY:
        return Unavailable("the database takes no writes now")
    if state.startswith("53"):
        return Unavailable("the database has no room or no connection left")
    return Unavailable("the database does not answer")


def translate_commit(error: Exception) -> AldisError:
    """The port's error for one of a commit: what the server refuses it has not done, of all else nobody knows."""
    state = _state(error)
    if state in _LOST_A_RACE or state.startswith(_FAILED_DATA):
        return translate(error)
    return OutcomeUnknown("the commit did not answer; the same client_id tells what became of it")


def is_moved(error: BaseException | None) -> bool:
    """Whether all connections are to be made anew, since the server they lead to is no longer the one."""
    return isinstance(error, (OSError, TimeoutError)) or _state(error).startswith(_MOVED)


def _state(error: BaseException | None) -> str:
    return error.sqlstate or "" if isinstance(error, asyncpg.PostgresError) else ""
