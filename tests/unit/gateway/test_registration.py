from collections.abc import Sequence

import pytest

from aldis.adapters.memory.presence import MemoryPresence
from aldis.domain.errors import Unavailable
from aldis.domain.ids import UserId
from aldis.gateway.registration import Registration

NODE = "gw-1"
ANNA, BOB = UserId("anna"), UserId("bob")


class Registry(MemoryPresence):
    """One that may be away, and may do what it was asked before it fails to say so."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.refuses_to_register = False
        self.fails_after = False

    async def register(self, node: str, users: Sequence[UserId]) -> None:
        self._check()
        if self.refuses_to_register:
            raise Unavailable("no answer")
        await super().register(node, users)

    async def withdraw(self, node: str, users: Sequence[UserId]) -> None:
        self._check()
        await super().withdraw(node, users)
        if self.fails_after:
            raise Unavailable("no answer")

    async def renew(self, node: str) -> bool:
        self._check()
        return await super().renew(node)

    def _check(self) -> None:
        if self.is_away:
            raise Unavailable("away")


class Node:
    """A registry, one node's registration, and who is connected there."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.here: set[UserId] = set()
        self.registration = Registration(node=NODE, presence=self.registry, here=self.here)

    async def come(self, user: UserId) -> None:
        self.here.add(user)
        await self.registration.came(user)

    def leave(self, user: UserId) -> None:
        self.here.discard(user)
        self.registration.left_nowait(user)

    async def keep_failing(self) -> None:
        with pytest.raises(Unavailable):
            await self.registration.keep()

    async def known(self) -> set[UserId]:
        return set(await self.registry.nodes_of([ANNA, BOB]))


async def test_who_came_is_known_and_who_left_is_withdrawn() -> None:
    """Withdrawing waits for the next turn, and tells who it was."""
    node = Node()
    await node.come(ANNA)
    await node.come(BOB)
    assert await node.known() == {ANNA, BOB}

    node.leave(BOB)

    assert await node.registration.keep() == [BOB]
    assert await node.known() == {ANNA}


async def test_who_comes_while_the_registry_is_away_is_let_in_and_registered_later() -> None:
    """Nobody is kept out by it."""
    node = Node()
    node.registry.is_away = True
    await node.come(ANNA)
    await node.come(BOB)
    await node.keep_failing()
    node.leave(BOB)
    node.registry.is_away = False

    assert await node.registration.keep() == [BOB]
    assert await node.known() == {ANNA}


async def test_who_leaves_while_the_registry_is_away_is_withdrawn_later() -> None:
    """And told of then; who has come back meanwhile stays."""
    node = Node()
    await node.come(ANNA)
    await node.come(BOB)
    node.registry.is_away = True
    node.leave(ANNA)
    node.leave(BOB)
    await node.keep_failing()
    await node.come(ANNA)
    node.registry.is_away = False

    assert await node.registration.keep() == [BOB]
    assert await node.known() == {ANNA}


async def test_a_withdrawal_without_an_answer_does_not_lose_who_came_back() -> None:
    """It may have been carried out after he had registered again."""
    node = Node()
    await node.come(ANNA)
    node.leave(ANNA)
    node.registry.fails_after = True
    await node.keep_failing()
    node.here.add(ANNA)
    node.registry.fails_after = False

    await node.registration.keep()

    assert await node.known() == {ANNA}


async def test_a_lost_lease_registers_everybody_even_if_that_fails_at_first() -> None:
    """The loss is told only once."""
    node = Node()
    await node.come(ANNA)
    await node.come(BOB)
    node.registry.forget(NODE)
    node.registry.refuses_to_register = True
    await node.keep_failing()
    node.registry.refuses_to_register = False

    await node.registration.keep()

    assert await node.known() == {ANNA, BOB}
