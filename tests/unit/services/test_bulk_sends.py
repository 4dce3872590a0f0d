"""Many sends at once leave room for others: few are with the committer, in order, first come, first served."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from aldis.domain.errors import Rejected, Unavailable
from aldis.domain.ids import ConversationId, MessageId
from aldis.domain.messages import Kind, Sender, SendMessage, Stored
from aldis.services.bulk_sends import ROOM, SLICE, BulkSends
from aldis.telemetry.tasks import cancel_and_wait, spawn


@dataclass
class Held:
    """A committer that keeps what it is given until it is told to answer."""

    inside: list[Sequence[SendMessage]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    doors: list[asyncio.Event] = field(default_factory=list)

    async def send(self, commands: Sequence[SendMessage]) -> list[Stored | Rejected | Unavailable]:
        door = asyncio.Event()
        self.inside.append(commands)
        self.doors.append(door)
        await door.wait()
        self.inside.remove(commands)
        self.seen += [command.message_id for command in commands]
        return [Stored(command.message_id, command.conversation_id, 1) for command in commands]

    @property
    def count(self) -> int:
        return sum(map(len, self.inside))

    async def answer_one(self) -> None:
        await settle()
        self.doors.pop(0).set()
        await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def sends(count: int, name: str = "m") -> list[SendMessage]:
    return [
        SendMessage(
            message_id=MessageId(f"{name}{number:05}"),
            kind=Kind.CHAT,
            channel="chat",
            sender=Sender(backend="shop"),
            conversation_id=ConversationId("c"),
            members=None,
            content=b"{}",
        )
        for number in range(count)
    ]


async def test_answers_come_in_the_order_of_the_sends() -> None:
    """Slice after slice, each when the one before is stored."""
    held = Held()
    task = spawn(BulkSends(held).send(sends(2 * SLICE + 1)), "bulk")
    sizes = []
    while not task.done():
        await settle()
        sizes.append(held.count)
        await held.answer_one()

    answers = [answer.message_id for answer in await task if isinstance(answer, Stored)]
    assert sizes == [SLICE, SLICE, 1]
    assert answers == held.seen == [command.message_id for command in sends(2 * SLICE + 1)]


async def test_no_more_than_the_room_is_with_the_committer() -> None:
    """However many come at once; whoever came first is let in first."""
    held, most = Held(), 0
    bulk = BulkSends(held)
    tasks = [spawn(bulk.send(sends(size, f"{name}-")), name) for name, size in zip("abcdef", [150] * 6, strict=True)]
    while not all(task.done() for task in tasks):
        await settle()
        most = max(most, held.count)
        await held.answer_one()

    assert 0 < most <= ROOM
    assert all(one <= other for one, other in pairwise(identifier[0] for identifier in held.seen))


async def test_a_small_one_does_not_overtake_a_large_one_that_waits() -> None:
    """Or the large one would wait for ever."""
    held = Held()
    bulk = BulkSends(held)
    tasks = [spawn(bulk.send(sends(size)), "bulk") for size in (SLICE, SLICE - 50, SLICE, 10)]
    await settle()
    assert [len(part) for part in held.inside] == [SLICE, SLICE - 50]

    await held.answer_one()
    assert [len(part) for part in held.inside] == [SLICE - 50, SLICE, 10]

    for _ in range(3):
        await held.answer_one()
    assert all(task.done() for task in tasks)


@pytest.mark.parametrize("place", [0, 1, 2, 3])
async def test_one_who_leaves_gives_back_his_place(place: int) -> None:
    """While he waits, while his are being stored: the others go on, and all of the room is there afterwards."""
    held = Held()
    bulk = BulkSends(held)
    tasks = [spawn(bulk.send(sends(SLICE)), "bulk") for _ in range(4)]
    await settle()

    await cancel_and_wait(tasks[place])
    while not all(task.done() for task in tasks):
        await held.answer_one()

    assert bulk._free == ROOM
    assert not bulk._waiting


async def test_one_who_leaves_as_he_is_let_in_gives_back_his_place() -> None:
    """The door had opened for him already."""
    held = Held()
    bulk = BulkSends(held)
    tasks = [spawn(bulk.send(sends(SLICE)), "bulk") for _ in range(3)]
    await settle()
    held.doors.pop(0).set()
    while bulk._waiting:  # until the moment at which he is let in, and before he knows
        await asyncio.sleep(0)

    await cancel_and_wait(tasks[2])
    while not all(task.done() for task in tasks):
        await held.answer_one()

    assert bulk._free == ROOM


async def test_nothing_is_answered_with_nothing() -> None:
    """An empty batch asks nobody."""
    assert await BulkSends(Held()).send([]) == []
