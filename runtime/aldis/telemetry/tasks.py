"""The one place that makes tasks outside a TaskGroup: each has a name, an owner, and is loud when it dies."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

T = TypeVar("T")

CANCEL_SECONDS = 10.0  # how long a cancelled task may clean up, well inside a container's grace period
_running: set[asyncio.Task[Any]] = set()  # the event loop keeps weak references only


def spawn(coroutine: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """Run `coroutine` in a task that is kept alive; if it ends by an exception, an error is logged."""
    task = asyncio.create_task(coroutine, name=name)
    _running.add(task)
    task.add_done_callback(_on_done)
    return task


async def cancel_and_wait(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they have cleaned up; one that does not end in time is logged and left."""
    for task in tasks:
        task.cancel()
    if not tasks:
        return
    _, stuck = await asyncio.wait(tasks, timeout=CANCEL_SECONDS)
    for task in stuck:
        log.error("task_stuck", name=task.get_name(), seconds=CANCEL_SECONDS)


def _on_done(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if task.cancelled():
        return
    error = task.exception()
    if error is not None:
        log.error("task_died", name=task.get_name(), exc_info=error)
