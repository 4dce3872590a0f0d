"""Ringing again, leaving and ageing, on a clock that never waits."""

from functools import partial

import msgspec
import pytest

from aldis.adapters.memory.broker import MemoryBroker
from aldis.domain.errors import Unavailable
from aldis.domain.retry import RetryPolicy
from aldis.domain.status import Status, status_of
from aldis.domain.work import Poison
from aldis.ports.backplane import Knock
from aldis.services import sweep
from aldis.services.ring import Ringer
from integration.core.commands import ALICE, BOB, chat
from integration.core.running_core import Core

POLICY = RetryPolicy()
DAY_MS = 24 * 3600 * 1000


class HeldBroker:
    """Keeps what is published, to be handed on by hand."""

    is_heard = True

    def __init__(self, *, fails: bool = False) -> None:
        self.items: list[bytes] = []
        self.announced: list[tuple[str, bytes]] = []
        self.fails = fails

    async def publish(self, queue: str, item: bytes) -> None:
        assert queue == sweep.DELIVER
        self.items.append(item)

    async def announce(self, topic: str, payload: bytes) -> None:
        if self.fails:
            raise Unavailable("the broker is gone")
        self.announced.append((topic, payload))

    consume = bind = MemoryBroker.consume


@pytest.fixture
def broker() -> HeldBroker:
    return HeldBroker()


async def ring_round(core: Core, broker: HeldBroker) -> int:
    """One round of the sweeper and the worker; how many lanes were due."""
    handed = await sweep.hand_out_due(store=core.store, broker=broker, clock=core.clock)
    ringer = Ringer(presence=core.doorbell, backplane=core.doorbell)
    ring = partial(sweep.ring_due, store=core.store, ringer=ringer, clock=core.clock, policy=POLICY)
    for item in broker.items:
        await ring(item)
    broker.items.clear()
    return handed


async def test_an_unacknowledged_lane_is_rung_when_it_is_due(core: Core, broker: HeldBroker) -> None:
    """Not before its time, then once, and only its user."""
    await core.store_all(chat())
    core.doorbell.rung.clear()

    assert await ring_round(core, broker) == 0
    core.clock.now += POLICY.initial_ms
    assert await ring_round(core, broker) == 1
    assert await ring_round(core, broker) == 0

    assert core.doorbell.rung == [Knock(BOB)]


async def test_rings_back_off_and_end(core: Core, broker: HeldBroker) -> None:
    """The waits stay below the policy's ceilings, and after the last attempt nothing is due any more."""
    await core.store_all(chat())
    rings, started = 0, core.clock.now
    while await core.due():
        core.clock.now += 100
        rings += await ring_round(core, broker)
        ceilings = [POLICY.initial_ms * POLICY.factor**attempt for attempt in range(POLICY.max_attempts)]
        assert core.clock.now - started <= sum(ceilings) + POLICY.max_attempts * 200

    assert rings == POLICY.max_attempts


async def test_an_acknowledged_lane_is_not_rung(core: Core, broker: HeldBroker) -> None:
    """What has been received needs no bell."""
    await core.connect(BOB, "b1")
    await core.store_all(chat())
    await core.ack(BOB, "b1", {"s": 1})
    core.clock.now += POLICY.max_ms

    assert await ring_round(core, broker) == 0


async def test_work_that_a_dead_worker_took_comes_back(core: Core, broker: HeldBroker) -> None:
    """The lease ends and the lane is handed out again, whatever became of the broker's item."""
    await core.store_all(chat())
    core.clock.now += POLICY.initial_ms
    assert await sweep.hand_out_due(store=core.store, broker=broker, clock=core.clock) == 1
    broker.items.clear()

    assert await ring_round(core, broker) == 0
    core.clock.now += sweep.LEASE_MS
    assert await ring_round(core, broker) == 1


async def test_events_leave_once_the_broker_takes_them(core: Core) -> None:
    """A broker that fails loses nothing: the row stays until its announcement went through."""
    await core.store_all(chat("one"), chat("two"))
    relay = partial(sweep.relay_outbox, store=core.store, clock=core.clock, metrics=core.metrics)
    with pytest.raises(Unavailable):
        await relay(broker=HeldBroker(fails=True))
    core.clock.now += sweep.RELAY_LEASE_MS

    broker = HeldBroker()
    rows = [await relay(broker=broker) for _ in range(2)]

    assert rows == [1, 0]
    [(topic, batch)] = broker.announced
    assert topic == "message.accepted.chat"
    assert [event["data"]["recipients"] for event in msgspec.json.decode(batch)] == [[BOB], [BOB]]


async def test_an_item_that_holds_no_lanes_is_poison() -> None:
    """What cannot be read is never tried again."""
    for item in (b"", b"{", b"7", b"[1]", b'[["alice","s"]]', b'[["alice","s","x"]]', b"\xff"):
        with pytest.raises(Poison):
            sweep.decode_due(item)


async def test_what_has_aged_is_retired(core: Core) -> None:
    """Lane entries past retention go, their floors rise, and a first device starts there."""
    await core.store_all(chat("old", created_ms=core.clock.now), chat("young", created_ms=core.clock.now + 2 * DAY_MS))
    core.clock.now += 2 * DAY_MS

    assert await sweep.retire(store=core.store, clock=core.clock, retention_ms=DAY_MS) == 2

    assert (await core.head(BOB, "s")).floor == 1
    assert (await core.connect(BOB, "b1")).start.s == 1
    assert await core.texts(BOB, "s", 1) == ["young"]
    assert await core.texts(ALICE, "s", 1) == ["young"]


async def test_what_was_delivered_stays_delivered_after_its_records_have_gone(core: Core) -> None:
    """Entries and moves age; that a message was received and read is still told, only no longer when."""
    await core.connect(BOB, "b1")
    (first, second) = await core.store_all(
        chat("read", created_ms=core.clock.now), chat("never received", created_ms=core.clock.now + 1)
    )
    await core.ack(BOB, "b1", {"s": 1})
    await core.read(BOB, first.conversation_id, 1)
    core.clock.now += 60 * DAY_MS

    gone = await sweep.retire(store=core.store, clock=core.clock, retention_ms=DAY_MS)
    await sweep.keep_up(store=core.store, clock=core.clock, retention_ms=DAY_MS)

    statuses = []
    for stored in (first, second):
        found = await core.store.message(stored.message_id)
        assert found is not None
        (_, passages) = (await core.store.passages(found[0], [BOB]))[BOB]
        statuses.append(status_of(BOB, passages))
    assert gone in {
        4,
        4 + 2,
    }  # two entries for each of two users; an acknowledgement and a read, unless with their table
    assert [(s.status, s.delivered_at) for s in statuses] == [(Status.READ, None), (Status.PENDING, None)]
