import asyncio

import pytest

from aldis_client.event_queue import OVERRUN, EventQueue
from aldis_client.events import Event


def events(count: int) -> list[Event]:
    return [Event("s", at, "message", {}) for at in range(1, count + 1)]


def never() -> bool:
    return False


async def test_a_full_queue_stops_the_reader_until_one_is_taken() -> None:
    """The bound is what slows the socket down to the application."""
    queue = EventQueue(2)
    queue.put(events(2))
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(queue.wait_room(never, timeout_seconds=1))
        await asyncio.sleep(0)
        assert not waiting.done()

        assert await queue.get() == events(1)[0]

    assert waiting.result()


async def test_a_reader_goes_on_when_an_answer_is_waited_for() -> None:
    """An application that awaits an answer takes no events, so waiting for it would never end."""
    queue, awaited = EventQueue(1), list[str]()
    queue.put(events(1))
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(queue.wait_room(lambda: bool(awaited), timeout_seconds=1))
        await asyncio.sleep(0)

        awaited.append("send")
        queue.nudge()

    assert waiting.result()
    assert queue.is_full


async def test_the_reader_looks_up_now_and_then() -> None:
    """It must give a sign of life to the server while it waits."""
    queue = EventQueue(1)
    queue.put(events(1))

    assert not await queue.wait_room(never, timeout_seconds=0.001)


async def test_what_waits_is_given_out_before_the_end() -> None:
    """Closing loses no event that was stored; the reason comes after them."""
    queue = EventQueue(4)
    queue.put(events(1))
    queue.close(ValueError("reason"))

    assert await queue.get() == events(1)[0]
    with pytest.raises(ValueError, match="reason"):
        await queue.get()


async def test_a_closed_queue_ends() -> None:
    """Closing without a reason ends the iteration, also for one who waits already."""
    queue = EventQueue(4)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(queue.get())
        await asyncio.sleep(0)
        queue.close(None)

    assert waiting.result() is None


def test_a_client_that_only_sends_keeps_nothing() -> None:
    """With a limit of 0 the queue is never full and never grows."""
    queue = EventQueue(0)
    queue.put(events(100))

    assert len(queue) == 0
    assert not queue.is_full


def test_even_for_an_answer_there_is_an_end() -> None:
    """Past a multiple of the limit nothing more is taken."""
    queue = EventQueue(2)
    queue.put(events(2 * OVERRUN - 1))
    assert not queue.is_overrun

    queue.put(events(1))

    assert queue.is_overrun
