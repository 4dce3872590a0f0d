"""The open loop: each message goes out when it is due, whatever the server does meanwhile."""

import asyncio
from collections.abc import Callable
from time import perf_counter

from bench.schedule import Schedule

TICK = 0.001  # seconds between looks at the clock; messages due in between go out together
LEAD = 0.05  # seconds before the first message of a phase


async def keep_pace(schedule: Schedule, started: float, send: Callable[[int], None]) -> None:
    """Call `send` with 0, 1, 2 … as each becomes due after `started`."""
    sent = 0
    while sent < schedule.total:
        await asyncio.sleep(TICK)
        due = schedule.due(perf_counter() - started)
        for turn in range(sent, due):
            send(turn)
        sent = max(sent, due)


def intended_times(schedule: Schedule, started: float) -> list[float]:
    """Return when each message is due."""
    return [started + turn / schedule.rate for turn in range(schedule.total)]
