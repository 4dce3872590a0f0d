"""The one place that makes tasks outside a TaskGroup: each has a name and someone who learns how it ended."""

import asyncio
from collections.abc import Callable, Coroutine


def spawn(
    work: Coroutine[None, None, None], *, name: str, on_end: Callable[[BaseException | None], None]
) -> asyncio.Task[None]:
    """Run `work` in a named task; the caller keeps the task. `on_end` gets its error, or None (also when cancelled)."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    task.add_done_callback(lambda ended: on_end(None if ended.cancelled() else _innermost(ended.exception())))
    return task


def _innermost(error: BaseException | None) -> BaseException | None:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
