import asyncio
from collections.abc import Sequence

import pytest

from aldis.adapters.redis.gathering import Gatherer
from aldis.domain.errors import Unavailable
from aldis.telemetry.tasks import spawn


class Work:
    """Doubles numbers; waits to be let go, when it has to."""

    def __init__(self) -> None:
        self.rounds: list[list[int]] = []
        self.free = asyncio.Event()
        self.free.set()

    async def __call__(self, questions: Sequence[int]) -> list[int]:
        self.rounds.append(list(questions))
        await self.free.wait()
        if 13 in questions:
            raise Unavailable("no")
        if 99 in questions:
            raise RuntimeError("a mistake")
        return [2 * question for question in questions]


def make(work: Work, *, most: int = 100, bound: int = 100) -> Gatherer[int, int]:
    return Gatherer(work, name="test", most=most, bound=bound)


async def test_what_is_asked_meanwhile_makes_up_the_next_round() -> None:
    """The first goes at once; the others share a round, in order, up to the most."""
    work = Work()
    gatherer = make(work, most=3)
    work.free.clear()
    first = spawn(gatherer.ask(1), "asker")
    await asyncio.sleep(0)
    others = asyncio.gather(*(gatherer.ask(number) for number in range(2, 7)))
    await asyncio.sleep(0)
    work.free.set()

    assert [await first, *await others] == [2, 4, 6, 8, 10, 12]
    assert work.rounds == [[1], [2, 3, 4], [5, 6]]


async def test_a_failure_is_told_to_all_of_its_round() -> None:
    """And to nobody else."""
    gatherer = make(Work())

    answers = await asyncio.gather(gatherer.ask(13), gatherer.ask(1), return_exceptions=True)

    assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
    assert await gatherer.ask(2) == 4


async def test_a_mistake_is_answered_and_the_next_round_runs() -> None:
    """Nobody is left waiting for ever."""
    gatherer = make(Work())

    with pytest.raises(Unavailable):
        await gatherer.ask(99)

    assert await gatherer.ask(2) == 4


async def test_who_has_gone_is_not_worked_for() -> None:
    """A question whose asker was cancelled before its round is left out; the others get their own answers."""
    work = Work()
    gatherer = make(work)
    work.free.clear()
    asked = [spawn(gatherer.ask(number), "asker") for number in range(1, 5)]
    await asyncio.sleep(0)
    asked[2].cancel()
    await asyncio.sleep(0)
    work.free.set()

    assert [await asked[number] for number in (0, 1, 3)] == [2, 4, 8]


async def test_too_many_are_refused_at_once() -> None:
    """What waits is bounded; who was taken in is answered."""
    work = Work()
    gatherer = make(work, most=1, bound=2)
    work.free.clear()
    asked = [spawn(gatherer.ask(1), "asker")]
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # it is being worked on
    asked += [spawn(gatherer.ask(number), "asker") for number in (2, 3)]
    await asyncio.sleep(0)

    with pytest.raises(Unavailable):
        await gatherer.ask(4)

    work.free.set()
    assert await asyncio.gather(*asked) == [2, 4, 6]
