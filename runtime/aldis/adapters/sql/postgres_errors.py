"""What a failure of PostgreSQL means to the store. The one place where its errors, and asyncpg's, are translated."""

from collections.abc import Generator
from contextlib import contextmanager

import asyncpg
import structlog

from aldis.domain.errors import AldisError, Unavailable
from aldis.ports.store import Contention, OutcomeUnknown, Unstorable

CONTENTION_MS = 20

log = structlog.get_logger(__name__)
_LOST_A_RACE = ("40001", "40P01", "55P03")  # serialization failure, deadlock, lock not available
_READ_ONLY = "25006"
_OUR_FAULT = ("0A", "42", "XX")  # what is not there, is not allowed, or should not be
_FAILED_DATA = ("22", "23")  # the classes: what a value is, what a constraint forbids
_LOST = ("08", "57P")  # connections that fail, servers that go or come
DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
_ERRORS = (*DRIVER_ERRORS, UnicodeEncodeError, OverflowError)


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
    if state.startswith(_FAILED_DATA) or _is_no_value(error):
        return Unstorable("the database refuses a row")
    if state == _READ_ONLY:
        return Unavailable("the database takes no writes now")
    if state.startswith("53"):
        return Unavailable("the database has no room or no connection left")
    if state.startswith(_OUR_FAULT):
        log.error("statement_refused", state=state, reason=str(error))  # it names tables and columns, never values
    return Unavailable("the database does not answer")


def _is_no_value(error: Exception) -> bool:
    """Whether asyncpg could not even send it."""
    refused = isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)
    return refused or isinstance(error, (UnicodeEncodeError, OverflowError))


def translate_commit(error: Exception) -> AldisError:
    """The port's error for one of a commit: what the server refuses it has not done, of all else nobody knows."""
    state = _state(error)
    if state in _LOST_A_RACE or state.startswith(_FAILED_DATA):
        return translate(error)
    return OutcomeUnknown("the commit did not answer; the same client_id tells what became of it")


def is_moved(error: BaseException | None) -> bool:
    """Whether all connections are to be made anew, since the server they lead to is no longer the one."""
    return is_lost(error) or isinstance(error, TimeoutError) or _state(error) == _READ_ONLY


def is_lost(error: BaseException | None) -> bool:
    """Whether the connection had ended, so that another one may do better at once."""
    if isinstance(error, (asyncpg.InterfaceError, asyncpg.InternalClientError)):
        return not isinstance(error, ValueError)
    is_system = isinstance(error, OSError) and not isinstance(error, TimeoutError)
    return is_system or _state(error).startswith(_LOST)


def _state(error: BaseException | None) -> str:
    return error.sqlstate or "" if isinstance(error, asyncpg.PostgresError) else ""
