"""Ringing for what is not acknowledged: when, how often, by which policy, and until when. Nobody waits for it here."""

from collections.abc import Mapping

import pytest

from aldis.adapters.memory.clock import START_MS
from aldis.domain.errors import Unavailable
from aldis.domain.ids import UserId
from aldis.domain.retry import DEFAULT_RETRY, RetryPolicy
from aldis.domain.status import Status
from aldis.domain.streams import Priority
from aldis.domain.work import Poison
from aldis.ports.backplane import Knock
from aldis.services.hand_out_rings import LEASE_MS, QUEUES, decode_rings, encode_rings
from aldis.services.plan_rings import CROWDED_MS, MOST_OPEN
from aldis.services.ring import Ringer
from aldis.services.ring_due import FAILURES
from integration.core.commands import ALICE, BOB, CAROL, chat, notification, talk
from integration.core.delivering import (
    Deliverer,
    check_counters,
    letters,
    next_due,
    status,
    table,
    timeline,
)
from integration.core.running_core import Core, HurriedClock, open_core

HOUR_MS = 3600 * 1000
PATIENT = RetryPolicy(initial_ms=60_000, factor=3, max_ms=400_000, max_attempts=5)
HASTY = RetryPolicy(initial_ms=1_000, factor=1, max_ms=1_000, max_attempts=3)


def schedule(policy: RetryPolicy, jitter: float, started: int) -> list[int]:
    """When a message of then is rung for, and when it has failed."""
    moments = [started + policy.initial_ms]
    for attempt in range(1, policy.max_attempts + 1):
        moments.append(moments[-1] + policy.delay_ms(attempt, jitter))
    return moments


def knocks(core: Core) -> list[UserId]:
    """Who was rung, since the last look."""
    rung, core.doorbell.rung = core.doorbell.rung, []
    return [ring.user for ring in rung if isinstance(ring, Knock)]


# When


@pytest.mark.parametrize("policy", [DEFAULT_RETRY, PATIENT, HASTY], ids=["default", "patient", "hasty"])
@pytest.mark.parametrize("jitter", [0.0, 0.37, 0.999999])
async def test_a_message_is_rung_for_as_its_channel_says(core: Core, policy: RetryPolicy, jitter: float) -> None:
    """To the millisecond within the jitter: each ring in its time, as many as are said, then it has failed."""
    deliverer = Deliverer(core, {"chat": policy}, jitter=jitter)
    (sent,) = await core.store_all(chat(created_ms=core.clock.now))
    expected = schedule(policy, jitter, core.clock.now)

    moments = await deliverer.wait(24 * HOUR_MS)

    assert moments == expected
    assert knocks(core) == [BOB] * policy.max_attempts
    told = await timeline(core, sent.message_id)
    assert [(each.type, each.at, each.attempt) for each in told] == [
        *(("attempt", at, number) for number, at in enumerate(expected[:-1], start=1)),
        ("failed", expected[-1], None),
    ]
    assert await next_due(core) is None
    await check_counters(core)


async def test_nothing_is_rung_before_its_time(core: Core) -> None:
    """A device has as long to acknowledge by itself as the channel says."""
    deliverer = Deliverer(core, {"chat": PATIENT})
    await core.store_all(chat(created_ms=core.clock.now))

    assert await deliverer.wait(PATIENT.initial_ms - 1) == []
    assert await deliverer.wait(1) == [core.clock.now]


async def test_channels_of_one_lane_keep_their_own_schedules(core: Core) -> None:
    """A hasty channel does not hurry a patient one that shares the recipient's lane, nor the other way."""
    policies = {"chat": PATIENT, "news": HASTY}
    deliverer = Deliverer(core, policies, jitter=0.25)
    (hasty,) = await core.store_all(notification(created_ms=core.clock.now))
    (patient,) = await core.store_all(chat(created_ms=core.clock.now))
    started = core.clock.now

    await deliverer.wait(HOUR_MS)

    rung = await table(core, "attempts", "channel", "at", "outcome")
    for channel, policy in policies.items():
        assert [at for of, at, _ in rung if of == channel] == schedule(policy, 0.25, started)
    assert {message for message, *_ in await letters(core)} == {hasty.message_id, patient.message_id}


async def test_what_comes_before_the_first_ring_is_rung_for_with_it(core: Core) -> None:
    """A burst is one stretch with one schedule, that of its oldest; what comes later has one of its own."""
    deliverer = Deliverer(core)
    await core.store_all(chat(created_ms=core.clock.now))
    core.clock.now += 2_000
    await core.store_all(chat(created_ms=core.clock.now), chat(created_ms=core.clock.now))
    await deliverer.wait(3_000)
    await core.store_all(chat(created_ms=core.clock.now))

    await deliverer.wait(5_000)

    assert await table(core, "rings", "low", "high") == [(0, 3), (3, 4)]
    await check_counters(core)


async def test_a_longer_first_wait_takes_in_what_follows(core: Core) -> None:
    """A lane is looked at for a hasty channel; a patient one's stretch that was not rung for yet goes on growing."""
    deliverer = Deliverer(core, {"chat": PATIENT, "news": HASTY})
    await core.store_all(chat(created_ms=core.clock.now), notification(created_ms=core.clock.now))
    await deliverer.wait(10_000)
    await core.store_all(chat(created_ms=core.clock.now), notification(created_ms=core.clock.now))
    await deliverer.wait(10_000)

    assert await table(core, "rings", "channel", "low", "high", "attempt") == [("chat", 0, 3, 0)]


async def test_a_change_of_policy_holds_for_what_is_scheduled_next(core: Core) -> None:
    """The wait that has begun goes on; the next is the new policy's."""
    deliverer = Deliverer(core, {"chat": PATIENT})
    await core.store_all(chat(created_ms=core.clock.now))
    (first,) = await deliverer.wait(PATIENT.initial_ms)
    deliverer.policies["chat"] = HASTY

    moments = await deliverer.wait(HOUR_MS)

    second = first + PATIENT.delay_ms(1, 0.5)
    third = second + HASTY.delay_ms(2, 0.5)
    assert moments == [second, third, third + HASTY.initial_ms]


async def test_fewer_attempts_than_were_made_end_it(core: Core) -> None:
    """Nobody is rung again; the message has failed with the attempts that it had."""
    deliverer = Deliverer(core, {"chat": PATIENT})
    (sent,) = await core.store_all(chat(created_ms=core.clock.now))
    await deliverer.wait(PATIENT.initial_ms + PATIENT.max_ms)
    made = len(knocks(core))
    deliverer.policies["chat"] = RetryPolicy(max_attempts=1)

    await deliverer.wait(HOUR_MS)

    assert knocks(core) == []
    assert await letters(core) == [(sent.message_id, BOB, "attempts_exhausted", made)]


# Until when


async def test_what_is_acknowledged_in_time_is_never_rung_for(core: Core) -> None:
    """And nothing is written for it."""
    deliverer = Deliverer(core)
    await core.connect(BOB, "phone")
    await core.store_all(chat(), chat())
    await core.ack(BOB, "phone", {"s": 2})

    assert await deliverer.wait(HOUR_MS) == []
    assert await table(core, "rings", "id") == []


async def test_an_acknowledgement_ends_the_ringing(core: Core) -> None:
    """The stretch is closed with it."""
    deliverer = Deliverer(core)
    await core.connect(BOB, "phone")
    (sent,) = await core.store_all(chat())
    await deliverer.wait(30_000)
    knocks(core)

    await core.ack(BOB, "phone", {"s": 1})

    assert await table(core, "rings", "id") == []
    await check_counters(core)
    await deliverer.wait(HOUR_MS)
    assert knocks(core) == []
    assert (await status(core, sent.message_id)).status is Status.DELIVERED


async def test_an_acknowledgement_of_a_part_leaves_the_rest(core: Core) -> None:
    """The rest goes on with the schedule that it had, and fails alone."""
    deliverer = Deliverer(core)
    await core.connect(BOB, "phone")
    sent = await core.store_all(*(chat(created_ms=core.clock.now) for _ in range(5)))
    started = core.clock.now
    await deliverer.wait(30_000)

    await core.ack(BOB, "phone", {"s": 3})

    assert await table(core, "rings", "low", "high") == [(3, 5)]
    await deliverer.wait(HOUR_MS)
    assert {message for message, *_ in await letters(core)} == {each.message_id for each in sent[3:]}
    at = schedule(DEFAULT_RETRY, 0.5, started)[-1]
    assert {failed for (failed,) in await table(core, "dead_letters", "failed_at")} == {at}
    assert [(await status(core, each.message_id)).status for each in sent] == [Status.DELIVERED] * 3 + [
        Status.FAILED
    ] * 2


async def test_what_another_device_skipped_is_still_rung_for(core: Core) -> None:
    """A new device begins at the present: what lies before it no device has, and nobody forgets it."""
    deliverer = Deliverer(core)
    await core.connect(BOB, "phone")
    (before,) = await core.store_all(chat())
    await core.connect(BOB, "tablet")
    (after,) = await core.store_all(chat())
    await core.ack(BOB, "tablet", {"s": 2})
    (later,) = await core.store_all(chat())
    await core.ack(BOB, "tablet", {"s": 3})

    await deliverer.wait(HOUR_MS)

    assert [message for message, *_ in await letters(core)] == [before.message_id]
    assert (await status(core, before.message_id)).status is Status.FAILED
    assert {(await status(core, each.message_id)).status for each in (after, later)} == {Status.DELIVERED}


async def test_what_lies_around_an_acknowledged_middle_is_still_rung_for(core: Core) -> None:
    """A stretch may cover what was acknowledged since; only what was not, fails."""
    deliverer = Deliverer(core)
    await core.connect(BOB, "phone")
    (first,) = await core.store_all(chat())
    await core.connect(BOB, "tablet")
    (second, third) = await core.store_all(chat(), chat())
    await deliverer.wait(6_000)
    await core.ack(BOB, "tablet", {"s": 2})

    await deliverer.wait(HOUR_MS)

    assert {message for message, *_ in await letters(core)} == {first.message_id, third.message_id}
    assert (await status(core, second.message_id)).status is Status.DELIVERED
    await check_counters(core)


async def test_what_was_read_is_not_rung_for(core: Core) -> None:
    """Whoever reads by REST needs no bell, whether or not a device has said anything."""
    deliverer = Deliverer(core)
    (sent,) = await core.store_all(chat())
    await deliverer.wait(30_000)
    knocks(core)

    await core.read(BOB, talk(ALICE, BOB), 1)

    await deliverer.wait(HOUR_MS)
    assert knocks(core) == []
    assert (await status(core, sent.message_id)).status is Status.READ
    assert await table(core, "rings", "id") == []


async def test_ones_own_messages_are_not_rung_for(core: Core) -> None:
    """They lie in one's lane for one's other devices."""
    deliverer = Deliverer(core)
    await core.store_all(chat(), chat(sender=BOB, to=ALICE), chat(sender=BOB, to=CAROL))

    await deliverer.wait_out()

    assert sorted((user, seq) for user, seq in await table(core, "dead_letters", "recipient", "seq")) == [
        (ALICE, 2),
        (BOB, 1),
        (CAROL, 1),
    ]


# What may break


@pytest.mark.parametrize("policy", [DEFAULT_RETRY, PATIENT], ids=["default", "patient"])
async def test_restarts_in_the_middle_change_nothing(url: str, policy: RetryPolicy) -> None:
    """A process that lives from one ring to the next keeps the schedule of one that lives for ever."""
    clock = HurriedClock()
    moments: list[int] = []
    async with open_core(url, clock) as core:
        core.retries["chat"] = policy
        await core.store_all(chat(created_ms=clock.now))
    while True:
        async with open_core(url, clock) as core:
            due = await next_due(core)
            if due is None:
                break
            clock.now = due
            await Deliverer(core, {"chat": policy}, jitter=0.8).round()
            moments.append(due)
            await check_counters(core)

    assert moments == schedule(policy, 0.8, START_MS)


async def test_work_that_a_dead_worker_took_comes_back(core: Core) -> None:
    """Its lease ends and it is handed out again; it was not rung for, so no attempt is lost."""
    deliverer = Deliverer(core)
    await core.store_all(chat(created_ms=core.clock.now))
    core.clock.now += DEFAULT_RETRY.initial_ms
    await deliverer.hand_out()
    deliverer.broker.items.clear()

    assert await deliverer.wait(LEASE_MS - 1) == []
    assert await deliverer.wait(1) == [core.clock.now]
    assert [number for (number,) in await table(core, "attempts", "attempt")] == [1]


async def test_an_item_that_comes_twice_is_one_attempt(core: Core) -> None:
    """A broker may repeat: the second time rings once more and stores nothing."""
    deliverer = Deliverer(core)
    await core.store_all(chat(created_ms=core.clock.now))
    core.clock.now += DEFAULT_RETRY.initial_ms
    await deliverer.hand_out()
    ((_, item),) = deliverer.broker.items

    for _ in range(3):
        await deliverer.ring(item)

    assert await table(core, "attempts", "attempt", "outcome") == [(1, "rung")]
    assert await table(core, "rings", "attempt") == [(1,)]


async def test_an_item_of_long_ago_closes_nothing(core: Core) -> None:
    """Its attempts were used up by a policy that holds no more: the stretch stands further, and goes on."""
    deliverer = Deliverer(core, {"chat": HASTY})
    await core.store_all(chat(created_ms=core.clock.now))
    await deliverer.wait(HASTY.initial_ms * HASTY.max_attempts)
    (row,) = await table(core, "rings", "id", "attempt")
    assert row[1] == HASTY.max_attempts
    core.clock.now = await next_due(core) or 0
    await deliverer.hand_out()
    ((_, stale),) = deliverer.broker.items
    deliverer.policies["chat"] = PATIENT
    await deliverer.work_off()

    deliverer.policies["chat"] = HASTY
    await deliverer.ring(stale)

    assert await table(core, "rings", "id", "attempt") == [(row[0], HASTY.max_attempts + 1)]
    assert await letters(core) == []


@pytest.mark.parametrize("item", [b"", b"nonsense", b"7", b"[1]", b'[["1"]]', b'[[1,"bob","s","chat",0,1]]', b"\xff"])
async def test_an_item_that_cannot_be_read_is_poison(core: Core, item: bytes) -> None:
    """It is never tried again; whatever it was meant to be is due again."""
    with pytest.raises(Poison):
        await Deliverer(core).ring(item)


async def test_an_item_brings_its_rings_to_the_worker(core: Core) -> None:
    """As they were leased."""
    deliverer = Deliverer(core)
    await core.store_all(chat(created_ms=core.clock.now))
    core.clock.now += DEFAULT_RETRY.initial_ms
    await deliverer.hand_out()

    ((queue, item),) = deliverer.broker.items

    (ring,) = decode_rings(item)
    assert (queue, ring[1:]) == ("deliver.standard", (BOB, "s", "chat", 0, 1, 0))
    assert encode_rings([ring]) == item


async def test_urgent_lanes_have_a_queue_of_their_own(core: Core) -> None:
    """It is filled first, and consumed beside the other."""
    deliverer = Deliverer(core)
    await core.store_all(chat(created_ms=core.clock.now), chat(priority=Priority.URGENT, created_ms=core.clock.now))
    core.clock.now += DEFAULT_RETRY.initial_ms

    await deliverer.hand_out()

    assert [queue for queue, _ in deliverer.broker.items] == ["deliver.express", "deliver.standard"]
    assert list(QUEUES.values()) == ["deliver.express", "deliver.standard"]


class Nowhere:
    """A presence that knows nobody, or does not answer."""

    def __init__(self, *, answers: bool) -> None:
        self.answers = answers

    async def nodes_of(self, users: object) -> Mapping[UserId, list[str]]:
        if not self.answers:
            raise Unavailable("the registry is gone")
        return {}

    register = withdraw = watch = unwatch = watching = renew = nodes_of  # not called here


@pytest.mark.parametrize(("answers", "outcome"), [(True, "no_connection"), (False, "unknown")])
async def test_what_came_of_a_ring_is_recorded(core: Core, answers: bool, outcome: str) -> None:
    """That nobody is connected, or that nobody can say: the schedule goes on either way."""
    deliverer = Deliverer(core)
    deliverer.ringer = Ringer(presence=Nowhere(answers=answers), backplane=core.doorbell)  # type: ignore[arg-type]
    await core.store_all(chat(created_ms=core.clock.now))

    await deliverer.wait(DEFAULT_RETRY.initial_ms)

    assert await table(core, "attempts", "outcome", "device_id") == [(outcome, None)]
    assert core.metrics.attempts.labels(outcome=outcome)._value.get() == 1
    assert await next_due(core) == core.clock.now + DEFAULT_RETRY.delay_ms(1, 0.5)


# Bounds


@pytest.mark.slow
async def test_a_lane_holds_only_so_many_rings(core: Core) -> None:
    """Who is away for long and gets much is rung often enough: what comes then waits, and is not lost."""
    deliverer = Deliverer(core, {"chat": RetryPolicy(initial_ms=1_000, max_ms=HOUR_MS, factor=10, max_attempts=50)})
    for _ in range(MOST_OPEN + 20):
        await core.store_all(chat(created_ms=core.clock.now))
        await deliverer.wait(1_000)

    assert len(await table(core, "rings", "id")) == MOST_OPEN
    deliverer.policies["chat"] = RetryPolicy(max_attempts=1)
    await deliverer.wait_out()
    assert len(await letters(core)) == MOST_OPEN + 20
    assert CROWDED_MS < HOUR_MS


async def test_a_long_backlog_is_looked_at_and_fails_in_bounded_steps(core: Core) -> None:
    """Five thousand messages for one who never comes: a few stretches, and a letter for each message at their ends."""
    deliverer = Deliverer(core, {"news": HASTY})
    sent = [
        stored.message_id
        for _ in range(25)
        for stored in await core.store_all(*(notification(created_ms=core.clock.now) for _ in range(200)))
    ]
    await deliverer.wait(HASTY.initial_ms)
    stretches = [(0, 2_000), (2_000, 4_000), (4_000, 5_000)]
    assert await table(core, "rings", "low", "high") == stretches

    await deliverer.wait_out()

    assert sorted(message for message, *_ in await letters(core)) == sorted(sent)
    assert await table(core, "rings", "id") == []
    attempts = await table(core, "attempts", "attempt", "outcome", "low", "high")
    assert sorted(attempts) == sorted(
        [(number, "rung", *stretch) for number in (1, 2, 3) for stretch in stretches]
        + [(3, "attempts_exhausted", low, low + FAILURES) for low in range(0, 5_000, FAILURES)]
    )
    await check_counters(core)


async def test_many_lanes_at_once_are_all_looked_at_and_fail(core: Core) -> None:
    """In as many transactions as it takes, each lane once, and all of them in their time."""
    users = [UserId(f"user-{number}") for number in range(450)]
    for start in range(0, len(users), 150):
        await core.store_all(*(notification(to=to, created_ms=core.clock.now) for to in users[start : start + 150]))
    deliverer = Deliverer(core, {"news": RetryPolicy(max_attempts=1)})

    await deliverer.wait(DEFAULT_RETRY.initial_ms)
    assert sorted(knocks(core)) == sorted(users)
    assert len(await table(core, "rings", "id")) == len(users)

    await deliverer.wait(DEFAULT_RETRY.initial_ms)
    assert {recipient for _, recipient, *_ in await letters(core)} == set(users)
    assert await table(core, "rings", "id") == []
