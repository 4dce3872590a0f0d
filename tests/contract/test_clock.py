"""What every clock promises (`aldis.ports.clock`), and what the driven one adds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from aldis.adapters.memory.clock import DrivenClock, SystemClock
from aldis.ports.clock import Clock
from aldis.telemetry.tasks import cancel_and_wait, spawn

STEP = 0.01  # seconds


async def keep_moving(clock: DrivenClock) -> None:
    while True:
        await clock.advance(STEP)
        await asyncio.sleep(0)


@asynccontextmanager
async def open_system() -> AsyncIterator[Clock]:
    yield SystemClock()


@asynccontextmanager
async def open_driven() -> AsyncIterator[Clock]:
    """A driven clock that someone drives, which is what code that waits on it sees."""
    clock = DrivenClock()
    driver = spawn(keep_moving(clock), "driver")
    yield clock
    await cancel_and_wait(driver)


ADAPTERS = {"system": open_system, "driven": open_driven}


@pytest.fixture(params=ADAPTERS)
async def clock(request: pytest.FixtureRequest) -> AsyncIterator[Clock]:
    async with ADAPTERS[request.param]() as clock:
        yield clock


def slept(seconds: float, name: str, clock: DrivenClock, woken: list[tuple[str, int]]) -> asyncio.Task[None]:
    async def sleep() -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.now_ms()))

    return spawn(sleep(), name)


async def test_a_sleep_lasts_as_long_as_it_was_told(clock: Clock) -> None:
    """The time has moved by at least the seconds slept, up to the millisecond in which they began."""
    before = clock.now_ms()

    await clock.sleep(5 * STEP)

    assert clock.now_ms() - before >= 5 * STEP * 1000 - 1


async def test_time_is_told_in_unix_milliseconds(clock: Clock) -> None:
    """The number is a whole one, of the twenty-first century."""
    assert 1_700_000_000_000 < clock.now_ms() < 4_102_444_800_000


async def test_sleeping_no_time_returns(clock: Clock) -> None:
    """Zero and less are no wait, but let others run."""
    await clock.sleep(0)
    await clock.sleep(-1)


async def test_a_sleep_can_be_cancelled(clock: Clock) -> None:
    """Cancelling ends a sleep at once and is not swallowed."""
    sleeper = spawn(clock.sleep(3600), "sleeper")
    await asyncio.sleep(0)

    await cancel_and_wait(sleeper)

    assert sleeper.cancelled()


async def test_a_driven_clock_stands_still() -> None:
    """Nobody wakes, and no time passes, until it is advanced."""
    clock, woken = DrivenClock(now_ms=1000), list[tuple[str, int]]()
    sleeper = slept(0.001, "sleeper", clock, woken)

    await clock.advance(0)

    assert (woken, clock.now_ms(), clock.sleeping) == ([], 1000, 1)
    await cancel_and_wait(sleeper)


async def test_sleepers_wake_in_order_each_at_its_own_time() -> None:
    """Advancing wakes the earliest first and tells it its own time, not the end's; later ones sleep on."""
    clock, woken = DrivenClock(now_ms=0), list[tuple[str, int]]()
    late, second, first = (slept(at, name, clock, woken) for at, name in [(9, "late"), (2, "second"), (1, "first")])

    await clock.advance(3)

    assert woken == [("first", 1000), ("second", 2000)]
    assert clock.now_ms() == 3000
    await cancel_and_wait(late, second, first)


async def test_a_loop_that_sleeps_wakes_as_often_as_it_would() -> None:
    """Who sleeps again within the time advanced is woken again."""
    clock, beats = DrivenClock(now_ms=0), list[int]()

    async def beat() -> None:
        while True:
            await clock.sleep(1)
            beats.append(clock.now_ms())

    heart = spawn(beat(), "heart")
    await clock.advance(3.5)

    assert beats == [1000, 2000, 3000]
    await cancel_and_wait(heart)


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    """A cancelled sleep leaves nothing behind in the clock."""
    clock = DrivenClock()
    sleeper = slept(1, "sleeper", clock, [])
    await clock.advance(0)

    await cancel_and_wait(sleeper)

    assert clock.sleeping == 0
