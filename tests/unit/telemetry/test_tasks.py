import asyncio

import pytest
from structlog.testing import capture_logs

from aldis.telemetry import tasks
from aldis.telemetry.tasks import cancel_and_wait, spawn


async def fail() -> None:
    raise RuntimeError("a mistake of ours")


async def test_a_task_that_dies_is_logged_as_an_error() -> None:
    """Nobody awaits most tasks, so each one that ends by an exception says its name and what happened."""
    with capture_logs() as lines:
        task = spawn(fail(), "doomed")
        await asyncio.wait([task])
        await asyncio.sleep(0)

    assert [(line["event"], line["log_level"], line["name"]) for line in lines] == [("task_died", "error", "doomed")]
    assert isinstance(lines[0]["exc_info"], RuntimeError)


async def test_a_task_that_ends_well_or_is_cancelled_is_silent() -> None:
    """Returning and being cancelled are normal ends."""
    with capture_logs() as lines:
        await spawn(asyncio.sleep(0), "short")
        await cancel_and_wait(spawn(asyncio.sleep(3600), "long"))

    assert lines == []


async def test_a_task_is_kept_alive_while_it_runs() -> None:
    """The event loop holds tasks weakly, so `spawn` holds them until they are done, and no longer."""
    task = spawn(asyncio.sleep(3600), "kept")

    assert task in tasks._running
    await cancel_and_wait(task)
    assert task not in tasks._running


async def test_the_callers_result_and_name_come_through() -> None:
    """A spawned task is an ordinary task: named, and awaited for its result."""
    task = spawn(asyncio.sleep(0, result=42), "answer")

    assert (task.get_name(), await task) == ("answer", 42)


async def test_cancelling_waits_for_the_clean_up() -> None:
    """When `cancel_and_wait` returns, every task has finished what its `finally` does."""
    closed: list[str] = []

    async def hold(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            closed.append(name)

    held = [spawn(hold(name), name) for name in ("one", "two")]
    await asyncio.sleep(0)

    await cancel_and_wait(*held)

    assert sorted(closed) == ["one", "two"]


async def test_cancelling_nothing_returns() -> None:
    """No tasks and finished tasks are fine."""
    finished = spawn(asyncio.sleep(0), "finished")
    await finished

    await cancel_and_wait()
    await cancel_and_wait(finished)


async def test_a_task_that_will_not_end_is_told_and_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing never hangs on one task: after a while it is logged and given up."""
    monkeypatch.setattr(tasks, "CANCEL_SECONDS", 0.0)
    release = asyncio.Event()

    async def cling() -> None:
        try:
            await release.wait()
        except asyncio.CancelledError:
            await release.wait()

    task = spawn(cling(), "clinging")
    await asyncio.sleep(0)
    with capture_logs() as lines:
        await cancel_and_wait(task)

    assert [(line["event"], line["name"]) for line in lines] == [("task_stuck", "clinging")]
    release.set()
    await task
