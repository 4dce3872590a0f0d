from collections.abc import Mapping, Sequence

from structlog.testing import capture_logs

from aldis.adapters.memory.backplane import MemoryBackplane
from aldis.adapters.memory.presence import MemoryPresence
from aldis.domain.errors import Unavailable
from aldis.domain.ids import UserId
from aldis.domain.streams import Broadcast, BroadcastEvent
from aldis.ports.backplane import Knock, Ring
from aldis.services.ring import Ringer
from aldis.telemetry.metrics import Metrics

ANNA, BOB = UserId("anna"), UserId("bob")
NEWS = Broadcast("bs", (BroadcastEvent(1, b"", channel="news"),))


class Unknown(MemoryPresence):
    async def nodes_of(self, users: Sequence[UserId]) -> Mapping[UserId, Sequence[str]]:
        raise Unavailable("Redis is away")


async def test_users_are_rung_where_they_are_and_broadcasts_everywhere() -> None:
    """Who is connected nowhere is not rung."""
    heard: dict[str, list[Ring]] = {"gw-1": [], "gw-2": []}
    presence, backplane = MemoryPresence(), MemoryBackplane(metrics=Metrics())
    await presence.register("gw-1", [ANNA])
    async with backplane.listen("gw-1", heard["gw-1"].extend), backplane.listen("gw-2", heard["gw-2"].extend):
        await Ringer(presence=presence, backplane=backplane).ring([Knock(ANNA), Knock(BOB), NEWS])

    assert heard == {"gw-1": [NEWS, Knock(ANNA)], "gw-2": [NEWS]}


async def test_while_presence_is_unknown_a_gateway_rings_itself() -> None:
    """Its own users hear at once, whatever has become of the registry; and it is no news."""
    heard: list[Ring] = []
    backplane = MemoryBackplane(metrics=Metrics())
    async with backplane.listen("gw-1", heard.extend):
        with capture_logs() as lines:
            await Ringer(presence=Unknown(), backplane=backplane, node="gw-1").ring([Knock(ANNA), NEWS])

    assert heard == [NEWS, Knock(ANNA)]
    assert lines == []


async def test_a_process_without_users_loses_the_doorbell_and_says_so() -> None:
    """Positions heal it; whoever rang is not told."""
    with capture_logs() as lines:
        await Ringer(presence=Unknown(), backplane=MemoryBackplane(metrics=Metrics())).ring([Knock(ANNA)])

    assert [line["event"] for line in lines] == ["doorbell_lost"]
