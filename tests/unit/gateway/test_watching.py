import json
from collections.abc import AsyncIterator, Sequence
from typing import cast

import pytest

from aldis.adapters.memory.backplane import MemoryBackplane
from aldis.adapters.memory.clock import DrivenClock
from aldis.adapters.memory.presence import MemoryPresence
from aldis.domain.errors import AldisError, Unavailable
from aldis.domain.ids import UserId
from aldis.gateway.connection import Connection
from aldis.gateway.ephemera import ROOM, EphemeralWriter
from aldis.gateway.watching import OFFLINE_AFTER_MS, RECHECK_SECONDS, TICK_SECONDS, Online, Watch, Watching
from aldis.ports.backplane import Ring, Sighting
from aldis.ports.store import Store
from aldis.services.ring import Ringer
from aldis.telemetry.metrics import Metrics
from unit.gateway.fakes import Rig, make_rig

ANN, BOB, EVE = UserId("ann"), UserId("bob"), UserId("eve")
OFFLINE_AFTER = OFFLINE_AFTER_MS / 1000


class Friends:
    """A store in which Bob knows Ann and nobody else."""

    broken = False

    async def acquaintances(self, user: UserId, others: Sequence[UserId]) -> set[UserId]:
        if self.broken:
            raise Unavailable("not now")
        return {other for other in others if {user, other} == {ANN, BOB}}


class Scene:
    """A node on which Bob is connected, perhaps twice, and Ann's coming and going somewhere."""

    def __init__(self) -> None:
        self.clock, self.metrics, self.presence, self.friends = DrivenClock(), Metrics(), MemoryPresence(), Friends()
        self.backplane = MemoryBackplane(metrics=self.metrics)
        self.bobs: list[Connection] = []
        self.watching = Watching(
            node="here",
            store=cast("Store", self.friends),
            presence=self.presence,
            ringer=Ringer(presence=self.presence, backplane=self.backplane),
            writer=EphemeralWriter(metrics=self.metrics),
            clock=self.clock,
            metrics=self.metrics,
            of_user=lambda user: self.bobs if user == BOB else [],
        )

    def connect(self) -> Rig:
        rig = make_rig(device=None)
        rig.connection.attached = True
        self.bobs.append(rig.connection)
        return rig

    async def watch(self, rig: Rig, *users: UserId) -> Online | AldisError:
        answers: list[Online | AldisError] = []
        self.watching.watch_nowait(Watch(rig.connection, BOB, users), answers.append)
        await self.clock.advance(0)
        (answer,) = answers
        return answer

    async def come(self, user: UserId = ANN, node: str = "there") -> None:
        """Connect on a node, which says so."""
        await self.presence.register(node, [user])
        self.watching.came(user)
        await self.clock.advance(TICK_SECONDS)

    async def go(self, user: UserId = ANN, node: str = "there") -> None:
        """Leave a node, which says so."""
        await self.presence.withdraw(node, [user])
        self.watching.left([user])
        await self.clock.advance(TICK_SECONDS)

    def on_ring(self, rings: Sequence[Ring]) -> None:
        for ring in rings:
            assert isinstance(ring, Sighting)
            self.watching.on_sighting(ring)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    async with scene.backplane.listen("here", scene.on_ring), scene.watching.running():
        yield scene


def news(rig: Rig) -> list[tuple[str, bool]]:
    """What a connection has been told since it was asked last."""
    frames = [json.loads(frame[frame.index(b"{") :]) for frame in rig.protocol.transport.written]
    rig.protocol.transport.written.clear()
    return [(each["user"], each["online"]) for frame in frames for each in frame["ephemeral"]]


async def test_a_watcher_is_told_who_comes_and_who_goes(scene: Scene) -> None:
    """Coming at once, going once it has lasted; each only once."""
    rig = scene.connect()
    assert await scene.watch(rig, ANN) == [(ANN, False)]

    await scene.come()
    assert news(rig) == [(ANN, True)]
    await scene.come()
    assert news(rig) == []
    await scene.go()
    assert news(rig) == []
    await scene.clock.advance(OFFLINE_AFTER)
    assert news(rig) == [(ANN, False)]


async def test_who_is_back_at_once_was_never_gone(scene: Scene) -> None:
    """Telephones change their networks; their friends need not know."""
    rig = scene.connect()
    await scene.come()
    assert await scene.watch(rig, ANN) == [(ANN, True)]

    for _ in range(5):
        await scene.go()
        await scene.clock.advance(OFFLINE_AFTER / 2)
        await scene.come()
    await scene.clock.advance(5 * OFFLINE_AFTER)

    assert news(rig) == []


async def test_who_leaves_one_of_two_nodes_is_still_there(scene: Scene) -> None:
    """Offline is who is nowhere."""
    rig = scene.connect()
    await scene.come(node="one")
    await scene.come(node="two")
    await scene.watch(rig, ANN)

    await scene.go(node="one")
    await scene.clock.advance(2 * OFFLINE_AFTER)
    assert news(rig) == []
    await scene.go(node="two")
    await scene.clock.advance(OFFLINE_AFTER)
    assert news(rig) == [(ANN, False)]


async def test_nothing_is_told_of_strangers(scene: Scene) -> None:
    """They are answered as offline, whether they are or not, and their coming is not rung for here."""
    rig = scene.connect()
    await scene.come(EVE)

    assert await scene.watch(rig, EVE, ANN) == [(EVE, False), (ANN, False)]
    await scene.go(EVE)
    await scene.come(EVE)
    await scene.clock.advance(2 * OFFLINE_AFTER)

    assert news(rig) == []
    assert await scene.presence.watching([EVE]) == {}


async def test_a_new_list_replaces_the_old_one(scene: Scene) -> None:
    """An empty one ends the watching, for this connection alone."""
    rig, twin = scene.connect(), scene.connect()
    await scene.watch(rig, ANN)
    await scene.watch(twin, ANN)

    assert await scene.watch(rig) == []
    await scene.come()
    assert (news(rig), news(twin)) == ([], [(ANN, True)])
    await scene.watch(twin)
    await scene.clock.advance(TICK_SECONDS)
    assert await scene.presence.watching([ANN]) == {}


async def test_a_closed_connection_is_forgotten(scene: Scene) -> None:
    """And with the last watcher the node's watch."""
    rig = scene.connect()
    await scene.watch(rig, ANN)

    rig.connection.closed = True
    await scene.clock.advance(RECHECK_SECONDS + TICK_SECONDS)

    assert await scene.presence.watching([ANN]) == {}


async def test_who_has_something_unsent_is_told_later(scene: Scene) -> None:
    """Presence is the first to be shed, but a watcher is not left with what is no longer so."""
    rig = scene.connect()
    await scene.watch(rig, ANN)
    rig.protocol.unsent = ROOM + 1
    await scene.come()
    assert news(rig) == []

    rig.protocol.unsent = ROOM
    await scene.clock.advance(RECHECK_SECONDS)

    assert news(rig) == [(ANN, True)]


async def test_what_was_not_rung_is_found_by_looking_again(scene: Scene) -> None:
    """Both ways: a lost ring, and a node that has gone without a word."""
    rig = scene.connect()
    await scene.watch(rig, ANN)

    await scene.presence.register("there", [ANN])
    await scene.clock.advance(RECHECK_SECONDS)
    assert news(rig) == [(ANN, True)]
    scene.presence.forget("there")
    await scene.clock.advance(RECHECK_SECONDS + OFFLINE_AFTER)
    assert news(rig) == [(ANN, False)]


async def test_a_lost_registry_is_told_again_who_is_watched(scene: Scene) -> None:
    """At the next look at the latest."""
    rig = scene.connect()
    await scene.watch(rig, ANN)
    scene.presence.forget("here")

    await scene.clock.advance(RECHECK_SECONDS)
    await scene.come()

    assert news(rig) == [(ANN, True)]


async def test_a_block_ends_the_watching_at_once(scene: Scene) -> None:
    """Who was online is offline then, and stays so; unblocking alone does not bring the watch back."""
    rig = scene.connect()
    await scene.come()
    await scene.watch(rig, ANN)

    scene.watching.part(BOB, ANN)
    assert news(rig) == [(ANN, False)]
    scene.watching.part(BOB, ANN)
    await scene.go()
    await scene.come()
    await scene.clock.advance(2 * OFFLINE_AFTER)
    assert news(rig) == []


async def test_a_list_that_cannot_be_read_changes_nothing(scene: Scene) -> None:
    """The one before stays, and who asked is told to come back."""
    rig = scene.connect()
    await scene.watch(rig, ANN)
    scene.friends.broken = True

    assert isinstance(await scene.watch(rig, BOB), Unavailable)
    await scene.come()

    assert news(rig) == [(ANN, True)]
