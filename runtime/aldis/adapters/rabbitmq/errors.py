"""The one place where the driver's errors get their names.

The driver also ends waiting calls by cancelling them when a channel or a connection goes, so a cancellation that nobody
asked for counts as a lost connection.
"""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from aldis.domain.errors import AldisError, Unavailable

AWAY = "the broker does not answer; what was to be given to it stays in the database"


@contextmanager
def translated() -> Generator[None]:
    """Whatever the driver raises is `Unavailable`; its words may hold contents, so only its name is told.

    It has no one class for its errors, and what keeps connections and consumers must not die of an unknown one.
    """
    try:
        yield
    except AldisError:
        raise
    except Exception as error:
        raise Unavailable(f"{AWAY} ({type(error).__name__})") from error
    except asyncio.CancelledError as error:
        if is_ours(asyncio.current_task()):
            raise
        raise Unavailable(f"{AWAY} (connection lost)") from error


def is_ours(task: asyncio.Task[object] | None) -> bool:
    """Whether it is the task itself that is being cancelled."""
    return task is not None and task.cancelling() > 0
