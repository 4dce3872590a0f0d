import asyncio
from collections.abc import Sequence

import pytest

from aldis.domain.errors import AldisError, Rejected, Unavailable
from aldis.services.grouping import Grouper
from aldis.telemetry.metrics import Metrics
from aldis.telemetry.tasks import spawn


class Doubling:
    """Work that doubles numbers once its gate is open, and remembers its groups."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, items: Sequence[int]) -> list[int | AldisError]:
        self.groups.append(list(items))
        await self.gate.wait()
        if 13 in items:
            raise RuntimeError("nobody expected this")
        if 7 in items:
            raise Unavailable("not now")
        return [Rejected("bad_request", "odd") if item % 2 else item * 2 for item in items]


def grouper(work: Doubling, *, most: int = 3, bound: int = 100, spacing: float = 0.0) -> Grouper[int, int]:
    return Grouper(work, name="send", most=most, bound=bound, metrics=Metrics(), spacing=spacing)


async def test_what_arrives_meanwhile_makes_the_next_groups() -> None:
    """At rest an item is alone; under load groups grow to their limit, in order."""
    work = Doubling()
    work.gate.clear()
    group = grouper(work)
    answers: list[int | AldisError] = []
    group.submit(0, answers.append)
    await asyncio.sleep(0)
    for item in (2, 4, 6, 8):
        group.submit(item, answers.append)
    work.gate.set()
    await group.settle()

    assert work.groups == [[0], [2, 4, 6], [8]]
    assert answers == [0, 4, 8, 12, 16]


async def test_groups_that_begin_apart_take_up_what_comes_in_between() -> None:
    """The first waits for nobody; those who come before the next may begin are together."""
    work = Doubling()
    group = grouper(work, spacing=0.05)

    first = await group.ask(0)
    later = [spawn(group.ask(2), "two")]
    for _ in range(10):
        await asyncio.sleep(0)  # long enough for a group of its own
    later.append(spawn(group.ask(4), "four"))
    answers = [first, *await asyncio.gather(*later)]

    assert answers == [0, 4, 8]
    assert work.groups == [[0], [2, 4]]


async def test_each_item_gets_its_own_answer() -> None:
    """A refusal is raised to the one who asked, and to no other of the group."""
    group = grouper(Doubling())
    answers = await asyncio.gather(group.ask(2), group.ask(3), group.ask(4), return_exceptions=True)

    assert (answers[0], answers[2]) == (4, 8)
    assert isinstance(answers[1], Rejected)


@pytest.mark.parametrize("poison", [7, 13])
async def test_what_work_raises_is_every_items_answer(poison: int) -> None:
    """A failure is told to the whole group, an unexpected one as unavailable; the next group runs."""
    group = grouper(Doubling())
    answers = await asyncio.gather(group.ask(poison), group.ask(2), return_exceptions=True)

    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert await group.ask(2) == 4


async def test_too_much_waiting_is_refused_at_once() -> None:
    """Beyond the bound an item is answered `Unavailable` without waiting; those before it are done."""
    work = Doubling()
    group = grouper(work, bound=2)
    answers: list[int | AldisError] = []
    for item in (2, 4, 6):
        group.submit(item, answers.append)

    assert len(answers) == 1
    assert isinstance(answers[0], Unavailable)
    await group.settle()
    assert answers[1:] == [4, 8]


async def test_an_asker_who_has_gone_holds_nobody_up() -> None:
    """A cancelled question is worked on all the same; the others get their answers."""
    work = Doubling()
    work.gate.clear()
    group = grouper(work)
    async with asyncio.TaskGroup() as tasks:
        gone, stays = tasks.create_task(group.ask(2)), tasks.create_task(group.ask(4))
        await asyncio.sleep(0)
        gone.cancel()
        work.gate.set()

    assert gone.cancelled()
    assert stays.result() == 8


async def test_settling_at_rest_returns_at_once() -> None:
    """Nothing waits, so there is nothing to wait for."""
    await grouper(Doubling()).settle()
