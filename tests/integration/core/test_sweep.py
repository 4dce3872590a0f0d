"""Leaving and ageing, on a clock that never waits. Ringing again is in `test_retries.py`."""

from functools import partial

import msgspec
import pytest

from aldis.adapters.memory.broker import MemoryBroker
from aldis.domain.errors import Unavailable
from aldis.domain.status import Status, status_of
from aldis.services import sweep
from integration.core.commands import ALICE, BOB, chat
from integration.core.running_core import Core

DAY_MS = 24 * 3600 * 1000


class Announcing:
    """Keeps what is announced."""

    is_heard = True

    def __init__(self, *, fails: bool = False) -> None:
        self.announced: list[tuple[str, bytes]] = []
        self.fails = fails

    async def publish(self, queue: str, item: bytes) -> None:
        raise AssertionError(f"nothing goes into {queue}")

    async def announce(self, topic: str, payload: bytes) -> None:
        if self.fails:
            raise Unavailable("the broker is gone")
        self.announced.append((topic, payload))

    consume = bind = MemoryBroker.consume


async def test_events_leave_once_the_broker_takes_them(core: Core) -> None:
    """A broker that fails loses nothing: the row stays until its announcement went through."""
    await core.store_all(chat("one"), chat("two"))
    relay = partial(sweep.relay_outbox, store=core.store, clock=core.clock, metrics=core.metrics)
    with pytest.raises(Unavailable):
        await relay(broker=Announcing(fails=True))
    core.clock.now += sweep.RELAY_LEASE_MS

    broker = Announcing()
    rows = [await relay(broker=broker) for _ in range(2)]

    assert rows == [1, 0]
    [(topic, batch)] = broker.announced
    assert topic == "message.accepted.chat"
    assert [event["data"]["recipients"] for event in msgspec.json.decode(batch)] == [[BOB], [BOB]]


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
