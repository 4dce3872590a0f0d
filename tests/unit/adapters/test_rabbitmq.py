import asyncio

import pytest

from aldis.adapters.rabbitmq.errors import translated
from aldis.adapters.rabbitmq.wire import is_nack_free
from aldis.domain.errors import Rejected, Unavailable


@pytest.mark.parametrize(
    ("version", "is_free"),
    [
        ("3.10.8", False),
        ("4.2.9", False),
        ("4.3.0", True),
        ("4.10.1", True),
        ("5.0", True),
        ("", False),
        ("x.y", False),
    ],
)
def test_whether_giving_back_is_an_attempt_follows_from_the_version(version: str, is_free: bool) -> None:
    """From 4.3 on it is none; of a version that cannot be read the worse is assumed."""
    assert is_nack_free(version) is is_free


@pytest.mark.parametrize("error", [ConnectionResetError("secret"), RuntimeError("secret"), TimeoutError(), KeyError(1)])
def test_whatever_a_driver_raises_is_unavailable(error: Exception) -> None:
    """It is told by its name alone, as its words may hold contents."""
    with pytest.raises(Unavailable, match=type(error).__name__) as told, translated():
        raise error

    assert "secret" not in str(told.value)
    assert told.value.__cause__ is error


def test_errors_of_our_own_pass() -> None:
    """They have their names already."""
    with pytest.raises(Rejected), translated():
        raise Rejected("conflict", "no")


async def test_a_cancellation_that_nobody_asked_for_is_a_lost_connection() -> None:
    """The driver cancels what waits when a connection goes."""
    waited_for = asyncio.get_running_loop().create_future()
    waited_for.cancel()

    with pytest.raises(Unavailable), translated():
        await waited_for


async def test_a_cancellation_of_ours_passes() -> None:
    """Who is told to end, ends."""

    async def wait() -> None:
        with translated():
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()

    assert task.cancelled()
