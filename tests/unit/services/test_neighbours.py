"""What gateways ask each other of connections: on one backplane, with connections that are only told of."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

import pytest

from aldis.adapters.memory.backplane import MemoryBackplane
from aldis.adapters.memory.presence import MemoryPresence
from aldis.domain.errors import Rejected
from aldis.domain.ids import UserId
from aldis.ports.backplane import Question, Replaced, Ring, Roll
from aldis.ports.connections import ConnectionView
from aldis.services import neighbours
from aldis.services.neighbours import Neighbours
from aldis.telemetry.metrics import Metrics

ANNA = UserId("anna")


def view(number: int, user: str, node: str) -> ConnectionView:
    return ConnectionView(f"c{number}", user, f"d{number}", "web", number, node, "websocket", None, 0)


class Gateways:
    """Some that hear each other; `deaf` ones are registered and answer nothing."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.presence = MemoryPresence()
        self.backplane = MemoryBackplane(metrics=Metrics())
        self.heard: list[Ring] = []
        self._stack = stack

    async def open(self, node: str, *views: ConnectionView, deaf: bool = False) -> Neighbours:
        own = Neighbours(
            node=node,
            presence=self.presence,
            backplane=self.backplane,
            here=lambda user: [v for v in views if user in {None, v.user}],
        )

        def on_ring(rings: Sequence[Ring]) -> None:
            self.heard += rings
            for ring in rings if not deaf else ():
                if isinstance(ring, Question):
                    own.on_question(ring)
                elif isinstance(ring, Roll):
                    own.on_roll(ring)

        await self._stack.enter_async_context(self.backplane.listen(node, on_ring))
        await self.presence.renew(node)
        await self.presence.register(node, [UserId(v.user) for v in views])
        return own


@pytest.fixture
async def gateways() -> AsyncIterator[Gateways]:
    async with AsyncExitStack() as stack:
        yield Gateways(stack)


async def test_connections_of_all_gateways_are_listed_in_one_order(gateways: Gateways) -> None:
    """By id, whichever gateway they are at; a page is cut from all of them, and all are counted."""
    one = await gateways.open("one", view(1, "anna", "one"), view(4, "bob", "one"))
    await gateways.open("two", view(2, "anna", "two"), view(3, "carl", "two"))

    everybody = await one.roll(limit=3)
    later = await one.roll(after="c2", limit=10)
    annas = await one.roll(user="anna", limit=10)
    third = await one.roll(connection="c3", limit=1)

    assert ([v.id for v in everybody.views], everybody.total) == (["c1", "c2", "c3"], 4)
    assert [v.id for v in later.views] == ["c3", "c4"]
    assert ([v.node for v in annas.views], annas.total) == (["one", "two"], 2)
    assert [v.user for v in third.views] == ["carl"]


async def test_a_gateway_that_says_nothing_is_left_out(gateways: Gateways, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while the others' answers are what there is."""
    monkeypatch.setattr(neighbours, "ANSWER_SECONDS", 0.05)
    one = await gateways.open("one", view(1, "anna", "one"))
    await gateways.open("two", view(2, "anna", "two"))
    await gateways.open("three", view(3, "anna", "three"), deaf=True)

    found = await one.roll(limit=10)

    assert [v.id for v in found.views] == ["c1", "c2"]


async def test_a_new_connection_is_told_where_the_user_is_too(gateways: Gateways) -> None:
    """The other gateway is told which device has come; one where he is not hears nothing."""
    one = await gateways.open("one", view(2, "anna", "one"))
    await gateways.open("two", view(1, "anna", "two"))
    await gateways.open("three", view(3, "bob", "three"))

    await one.came(ANNA, "phone", "c2", most=10)

    assert [ring for ring in gateways.heard if isinstance(ring, Replaced)] == [Replaced(ANNA, "phone", "c2")]
    assert len([ring for ring in gateways.heard if isinstance(ring, Question)]) == 1


async def test_a_limit_counts_the_connections_of_all_gateways(gateways: Gateways) -> None:
    """As many as allowed are welcome, one more is refused."""
    one = await gateways.open("one", view(1, "anna", "one"), view(3, "anna", "one"))
    await gateways.open("two", view(2, "anna", "two"))

    await one.came(ANNA, None, "c3", most=3)
    with pytest.raises(Rejected, match="at most 2 connections"):
        await one.came(ANNA, None, "c3", most=2)


async def test_who_is_at_one_gateway_alone_costs_no_question(gateways: Gateways) -> None:
    """Nobody else is asked, and nothing is waited for."""
    one = await gateways.open("one", view(1, "anna", "one"))
    await gateways.open("two", view(2, "bob", "two"))

    async with asyncio.timeout(0.2):
        await one.came(ANNA, "phone", "c1", most=1)

    assert gateways.heard == []
