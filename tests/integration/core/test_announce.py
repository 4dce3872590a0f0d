"""What the outbox holds becomes CloudEvents: each step of each message, told so that a repeat can be known as one."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from aldis.adapters.memory.broker import MemoryBroker
from aldis.adapters.memory.clock import START_MS
from aldis.domain.errors import Unavailable
from aldis.domain.ids import DeviceId, UserId, rfc3339
from aldis.domain.messages import Stored
from aldis.domain.status import Step
from aldis.domain.streams import Priority
from aldis.ports.store import Move, OutboxRow
from aldis.services import announce as announcing
from aldis.services import sweep
from aldis.services.announce import MOVED, announce, moves_json
from aldis.services.moves import MoveCommitter
from aldis.services.ring import Ringer
from aldis.services.store_moves import Sent
from integration.core.commands import ALICE, BOB, CAROL, chat, notification
from integration.core.running_core import Core

PHONE, TABLET = DeviceId("phone"), DeviceId("tablet")
Json = dict[str, Any]


class Outside:
    """A broker whose announcements are kept; it refuses the first `fails` of them."""

    is_heard = True

    def __init__(self, fails: int = 0) -> None:
        self.fails = fails
        self.batches: list[tuple[str, list[Json]]] = []

    async def announce(self, topic: str, payload: bytes) -> None:
        if self.fails:
            self.fails -= 1
            raise Unavailable("the broker is gone")
        self.batches.append((topic, msgspec.json.decode(payload)))

    async def publish(self, queue: str, item: bytes) -> None:
        raise NotImplementedError

    consume = bind = MemoryBroker.consume

    @property
    def events(self) -> list[Json]:
        return [event for _, batch in self.batches for event in batch]

    def told(self, type_: str) -> list[tuple[str, str]]:
        """(message, recipient) of each event of a type."""
        return [(e["data"]["message_id"], e["data"]["recipient"]) for e in self.events if e["type"] == type_]


class Announcing:
    """A core whose moves go into the outbox, too."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.wake = asyncio.Event()
        ringer = Ringer(presence=core.doorbell, backplane=core.doorbell)
        core.moves = MoveCommitter(
            store=core.store, ringer=ringer, clock=core.clock, metrics=core.metrics, announced=self.wake
        )

    async def sent(self, user: UserId, low: int, high: int, device: DeviceId = PHONE) -> None:
        self.core.moves.sent_nowait(Sent(user, device, "s", low, high, self.core.clock.now_ms()))
        await self.core.moves.settle()

    async def relay(self, outside: Outside | None = None) -> Outside:
        outside = outside or Outside()
        core = self.core
        while await sweep.relay_outbox(store=core.store, broker=outside, clock=core.clock, metrics=core.metrics):
            pass
        return outside


@pytest.fixture
async def world(core: Core) -> AsyncIterator[Announcing]:
    for user in (ALICE, BOB):
        for device in ("phone", "tablet"):
            await core.connect(user, device)
    world = Announcing(core)
    yield world
    await core.moves.settle()


def ids(stored: list[Stored]) -> list[str]:
    return [one.message_id for one in stored]


async def test_each_step_of_a_message_is_an_event(world: Announcing) -> None:
    """Accepted, sent, delivered, read: with one subject, ids of their own, and the time of the step."""
    [stored] = await world.core.store_all(chat("secret words"))
    times = {"message.accepted": world.core.clock.now}
    for step in ("message.sent", "message.delivered", "message.read"):
        world.core.clock.now += 1000
        times[step] = world.core.clock.now
        match step:
            case "message.sent":
                await world.sent(BOB, 0, 1)
            case "message.delivered":
                await world.core.ack(BOB, "phone", {"s": 1})
            case _:
                await world.core.read(BOB, stored.conversation_id, 1)

    outside = await world.relay()

    about = {
        "message_id": stored.message_id,
        "conversation_id": stored.conversation_id,
        "channel": "chat",
        "kind": "chat",
        "seq": 1,
        "sender": {"user": ALICE},
    }
    assert [topic for topic, _ in outside.batches] == [f"{type_}.chat" for type_ in times]
    for event, (type_, at) in zip(outside.events, times.items(), strict=True):
        word = type_.removeprefix("message.")
        whom = {"recipients": [BOB]} if word == "accepted" else {"recipient": BOB}
        assert rfc3339(at)[:19] == event.pop("time")[:19]
        assert event == {
            "specversion": "1.0",
            "id": f"{stored.message_id}:{word}" + (f":{BOB}" if "recipient" in whom else ""),
            "source": "/aldis",
            "type": type_,
            "subject": stored.message_id,
            "datacontenttype": "application/json",
            "data": about | whom,
        }


async def test_an_event_that_leaves_twice_is_the_same(world: Announcing) -> None:
    """After a failure whole rows are repeated; each event has the id, the time and the data that it had."""
    [stored] = await world.core.store_all(chat())
    await world.core.ack(BOB, "phone", {"s": 1})
    await world.core.read(BOB, stored.conversation_id, 1)
    outside = Outside(fails=1)
    with pytest.raises(Unavailable):
        await world.relay(outside)

    world.core.clock.now += sweep.RELAY_LEASE_MS
    await world.relay(outside)

    assert len(outside.events) == 5
    distinct = {msgspec.json.encode(event) for event in outside.events}
    assert len(distinct) == 3 == len({event["id"] for event in outside.events})


async def test_a_move_tells_of_every_message_it_has_passed(world: Announcing) -> None:
    """Of others' messages and of nobody else's lane, in order, once for each device."""
    mine = await world.core.store_all(*(chat(str(n)) for n in range(3)))
    await world.core.store_all(chat("own", sender=BOB, to=ALICE))
    await world.core.store_all(chat("elsewhere", sender=CAROL, to=ALICE))
    await world.core.ack(BOB, "phone", {"s": 2})
    await world.core.ack(BOB, "tablet", {"s": 4})

    outside = await world.relay()

    [first, second, third] = [(identifier, BOB) for identifier in ids(mine)]
    assert outside.told("message.delivered") == [first, second, first, second, third]
    assert Counter(event["id"] for event in outside.events).most_common(1)[0][1] == 2  # equal ids for equal news


async def test_a_read_tells_only_of_what_was_not_read_before(world: Announcing) -> None:
    """Read marks belong to the user, so nothing is told twice; one's own messages are no news."""
    stored = await world.core.store_all(chat("1"), chat("2"))
    await world.core.store_all(chat("own", sender=BOB, to=ALICE))
    talk = stored[0].conversation_id
    for seq in (1, 1, 3, 2):
        await world.core.read(BOB, talk, seq)

    outside = await world.relay()

    assert outside.told("message.read") == [(identifier, BOB) for identifier in ids(stored)]


async def test_batches_are_of_one_type_and_channel_and_bounded(
    world: Announcing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many groups and messages there were: rows are put together, and no batch is too long."""
    monkeypatch.setattr(announcing, "BATCH_EVENTS", 4)
    for number in range(3):
        await world.core.store_all(*(chat(str(n)) for n in range(3)), notification(str(number)))

    outside = await world.relay()

    assert [(topic, len(batch)) for topic, batch in outside.batches] == [
        ("message.accepted.chat", 4), ("message.accepted.chat", 4), ("message.accepted.chat", 1),
        ("message.accepted.news", 3),
    ]  # fmt: skip
    texts = [event["data"]["seq"] for event in outside.events if event["data"]["channel"] == "chat"]
    assert texts == list(range(1, 10))
    assert all(event["data"]["sender"] == {"backend": "shop"} for _, batch in outside.batches[3:] for event in batch)


async def test_a_long_way_in_one_move_is_looked_up_in_parts(world: Announcing, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that comes back from far away costs bounded look-ups, and nothing of it is left out."""
    monkeypatch.setattr(announcing, "READ_MESSAGES", 7)
    stored = await world.core.store_all(*(chat(str(n)) for n in range(40)), chat("!", priority=Priority.HIGH))
    await world.core.ack(BOB, "phone", {"s": 40, "e": 1})
    await world.core.read(BOB, stored[0].conversation_id, 41)

    outside = await world.relay()

    assert sorted(outside.told("message.delivered")) == sorted((identifier, BOB) for identifier in ids(stored))
    assert outside.told("message.read") == [(identifier, BOB) for identifier in ids(stored)]


async def test_moves_are_written_only_where_they_are_announced(core: Core) -> None:
    """Without an outside the outbox holds what was accepted and nothing else; with one the relay is woken."""
    await core.connect(BOB, "phone")
    await core.store_all(chat())
    await core.ack(BOB, "phone", {"s": 1})
    world = Announcing(core)
    await world.core.ack(BOB, "phone", {"s": 1})
    assert not await _topics(core, MOVED)

    await core.store_all(chat())
    await world.core.ack(BOB, "phone", {"s": 2})

    assert await _topics(core, MOVED) == [MOVED]
    assert world.wake.is_set()


async def _topics(core: Core, topic: str) -> list[str]:
    async with core.store.begin() as transaction:
        rows = await transaction.lease_outbox(10**15, 0, 99)
    return [row.topic for row in rows if row.topic == topic]


async def test_where_nobody_listens_nothing_is_made(world: Announcing) -> None:
    """A broker that is not heard is told nothing, and the rows go."""
    await world.core.store_all(chat())
    await world.core.ack(BOB, "phone", {"s": 1})
    deaf = Outside()
    deaf.is_heard = False

    await world.relay(deaf)

    assert deaf.batches == []
    assert (await world.relay()).batches == []


async def test_other_facts_become_events_by_the_same_rule(core: Core) -> None:
    """What may happen to a message more than once has its time in its id."""
    fact = {"message_id": "m1", "channel": "orders.eu", "recipient": BOB, "reason": "expired"}
    outside = Outside()

    await announce(
        [OutboxRow(1, "message.failed", msgspec.json.encode([fact]), START_MS)], store=core.store, broker=outside
    )

    [(topic, [event])] = outside.batches
    assert topic == "message.failed.orders.eu"
    assert event["id"] == f"m1:failed:{BOB}:{START_MS}"
    assert event["data"] == fact
    assert event["time"] == "2027-01-15T08:00:00.000Z"


async def test_a_row_that_cannot_be_read_holds_up_no_other(core: Core) -> None:
    """It is told of in the log and left out; what stands around it leaves."""
    move = Move(BOB, PHONE, "s", Step.ACKED, 0, 1, START_MS)
    good = msgspec.json.encode([{"message_id": "m1", "channel": "chat"}])
    rows = [
        OutboxRow(1, "message.accepted", b"{", START_MS),
        OutboxRow(2, "message.accepted", b"[7]", START_MS),
        OutboxRow(3, "message.accepted", b'[{"message_id":"m0"}]', START_MS),
        OutboxRow(4, MOVED, b'[["flown","bob","s",0,1,2]]', START_MS),
        OutboxRow(5, MOVED, moves_json([move]), START_MS),
        OutboxRow(6, "message.accepted", good, START_MS),
    ]
    outside = Outside()

    await announce(rows, store=core.store, broker=outside)

    assert [event["id"] for event in outside.events] == ["m1:accepted"]
