"""Replays of dead letters: rung for again from the first attempt, each once, through restarts and beside each other."""

from collections import Counter
from dataclasses import replace

import pytest

from aldis.domain.audit import CLI
from aldis.domain.deliveries import ReplayState
from aldis.domain.errors import Rejected
from aldis.domain.ids import MessageId, UserId
from aldis.domain.messages import Gone
from aldis.domain.retry import RetryPolicy
from aldis.domain.status import Status
from aldis.domain.streams import Batch
from aldis.ports.administration import AuditFilter
from aldis.ports.dead_letters import DeadLetter, LetterFilter, Replay
from aldis.services.list_dead_letters import list_dead_letters
from aldis.services.message_status import read_message_status
from aldis.services.purge_dead_letters import purge_one
from aldis.services.replay_dead_letters import BATCH, find_replay, replay_next, replay_one, request_replay
from aldis.services.sweep import retire
from integration.core.commands import ALICE, BOB, CAROL, chat, notification
from integration.core.delivering import (
    BACKEND,
    Deliverer,
    check_counters,
    letters,
    status,
    table,
    timeline,
)
from integration.core.running_core import Core, HurriedClock, event_json, open_core
from integration.core.test_erasure import erase

HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS
QUICK = RetryPolicy(initial_ms=1_000, factor=1, max_ms=1_000, max_attempts=2)
ALL = LetterFilter()


@pytest.fixture
def deliverer(core: Core) -> Deliverer:
    """A worker whose messages fail within seconds."""
    return Deliverer(core, {"chat": QUICK, "news": QUICK})


async def listed(core: Core, wanted: LetterFilter = ALL) -> list[DeadLetter]:
    return (await list_dead_letters(wanted, limit=200, store=core.store)).items


async def ask(core: Core, wanted: LetterFilter = ALL) -> Replay:
    return await request_replay(wanted, actor=CLI, store=core.store, clock=core.clock)


async def replay_letter(core: Core, deliverer: Deliverer, letter: DeadLetter) -> Replay:
    return await replay_one(
        letter.id, actor=CLI, store=core.store, ringer=deliverer.ringer, clock=core.clock, policies=deliverer.policies
    )


async def test_a_replay_rings_again_from_the_first_attempt(core: Core, deliverer: Deliverer) -> None:
    """The letter is gone, the status is pending, and the whole schedule begins anew; it may fail anew."""
    (sent,) = await core.store_all(chat(created_ms=core.clock.now))
    await deliverer.wait(HOUR_MS)
    (letter,) = await listed(core)

    done = await replay_letter(core, deliverer, letter)

    assert (done.state, done.matched, done.replayed, done.skipped) == (ReplayState.DONE, 1, 1, 0)
    assert await listed(core) == []
    assert (await status(core, sent.message_id)).status is Status.PENDING
    assert [told["status"] for told in await core.told(ALICE, "status")] == ["pending"]
    started = core.clock.now
    await deliverer.wait(HOUR_MS)
    again = [each for each in await timeline(core, sent.message_id) if each.at >= started]
    assert [(each.type, each.attempt, each.at - started) for each in again] == [
        ("queued", None, 0),
        ("attempt", 1, 0),
        ("attempt", 2, QUICK.delay_ms(1, 0.5)),
        ("failed", None, QUICK.delay_ms(1, 0.5) + QUICK.initial_ms),
    ]
    (again_failed,) = await listed(core)
    assert (again_failed.message_id, again_failed.attempts) == (sent.message_id, 2)
    assert again_failed.id != letter.id
    assert [event.pos for event in await core.page(BOB, "s")] == [1], "it has its place already"
    await check_counters(core)


async def test_what_was_written_before_a_replay_is_pending_after_it(core: Core, deliverer: Deliverer) -> None:
    """A device that got it once and said nothing is asked again."""
    await core.connect(BOB, "phone")
    (sent,) = await core.store_all(chat(created_ms=core.clock.now))
    await deliverer.wait(HOUR_MS)
    (letter,) = await listed(core)
    core.clock.now += 1

    await replay_letter(core, deliverer, letter)
    await core.ack(BOB, "phone", {"s": 1})

    assert (await status(core, sent.message_id)).status is Status.DELIVERED
    assert await table(core, "rings", "id") == []
    await check_counters(core)


async def test_an_expired_message_gets_a_new_life(core: Core, deliverer: Deliverer) -> None:
    """A new event with the same id and its content, a new expiry after its whole life, and rings from the first."""
    life = 10_000
    (sent,) = await core.store_all(chat("code", created_ms=core.clock.now, expires_at=core.clock.now + life))
    core.clock.now += DAY_MS
    await deliverer.expire()
    (letter,) = await listed(core)
    core.doorbell.rung.clear()

    await replay_letter(core, deliverer, letter)

    events = await core.page(BOB, "s")
    assert [(event.pos, event_json(event)["message"]["id"]) for event in events] == [
        (1, sent.message_id),
        (2, sent.message_id),
    ]
    for event in events:  # an event shows the message as it is now
        assert event_json(event)["message"]["content"] == {"type": "text", "text": "code"}
        assert event_json(event)["message"]["seq"] == 1
    rung = [(ring.user, ring.source) for ring in core.doorbell.rung if isinstance(ring, Batch)]
    assert rung == [(BOB, "s"), (ALICE, "r")]
    assert await table(core, "expiries", "expires_at", "message_id") == [(core.clock.now + life, sent.message_id)]
    assert (await status(core, sent.message_id)).status is Status.PENDING
    await check_counters(core)


async def test_a_renewed_message_is_delivered_by_its_new_place(core: Core, deliverer: Deliverer) -> None:
    """Its old place is no delivery any more, and fails nobody."""
    (sent,) = await core.store_all(chat("code", created_ms=core.clock.now, expires_at=core.clock.now + HOUR_MS))
    (other,) = await core.store_all(chat("other", created_ms=core.clock.now))
    core.clock.now += HOUR_MS
    await deliverer.expire()
    (letter,) = await listed(core, LetterFilter(channel="chat"))
    await replay_letter(core, deliverer, letter)
    await core.connect(BOB, "phone")

    await core.ack(BOB, "phone", {"s": 3})

    assert (await status(core, sent.message_id)).status is Status.DELIVERED
    assert (await status(core, other.message_id)).status is Status.DELIVERED
    await deliverer.wait_out()
    assert await letters(core) == []


async def test_a_renewed_message_that_is_not_acknowledged_fails_once(core: Core, deliverer: Deliverer) -> None:
    """For its new place alone, by its attempts or by its new end."""
    (sent,) = await core.store_all(chat("code", created_ms=core.clock.now, expires_at=core.clock.now + 500))
    await core.store_all(chat("other", created_ms=core.clock.now))
    await deliverer.wait(500)
    await deliverer.expire()
    (letter,) = await listed(core)
    await replay_letter(core, deliverer, letter)
    core.clock.now += 500
    await deliverer.expire()

    await deliverer.wait(HOUR_MS)

    found = [(letter.message_id, letter.reason, letter.seq) for letter in await listed(core)]
    assert (sent.message_id, "expired", 3) in found
    assert len(found) == 2
    await check_counters(core)


async def test_every_life_is_as_long_as_the_first(core: Core, deliverer: Deliverer) -> None:
    """However often a message is renewed, and also when it was rung for again in between."""
    life = 5_000
    (sent,) = await core.store_all(chat("code", created_ms=core.clock.now, expires_at=core.clock.now + life))

    for _ in range(3):
        core.clock.now += HOUR_MS
        await deliverer.expire()
        (letter,) = await listed(core)
        await replay_letter(core, deliverer, letter)
        assert await table(core, "messages", "expires_at") == [(core.clock.now + life,)]
        await deliverer.wait(4_000)  # its attempts are used up, its time is not over
        (letter,) = await listed(core)
        assert letter.reason == "attempts_exhausted"
        await replay_letter(core, deliverer, letter)

    entries = await table(core, "stream_events", "user_id", "seq", "own")
    places = [(seq, own) for user, seq, own in entries if user == BOB]
    assert places == [(1, True), (2, True), (3, True), (4, False)]
    assert (await status(core, sent.message_id)).status is Status.PENDING


async def test_what_retention_has_taken_comes_again(core: Core, deliverer: Deliverer) -> None:
    """At a new place, which is kept for as long as any other from then on."""
    (sent,) = await core.store_all(chat("old", created_ms=core.clock.now))
    await deliverer.wait(HOUR_MS)
    core.clock.now += 3 * DAY_MS
    await retire(store=core.store, clock=core.clock, retention_ms=DAY_MS)
    assert await core.texts(BOB, "s") == []
    (letter,) = await listed(core)

    await replay_letter(core, deliverer, letter)
    core.clock.now += HOUR_MS
    await retire(store=core.store, clock=core.clock, retention_ms=DAY_MS)

    assert await core.texts(BOB, "s") == ["old"]
    assert (await core.head(BOB, "s")).seq == 2
    await core.connect(BOB, "phone")
    await core.ack(BOB, "phone", {"s": 2})
    assert (await status(core, sent.message_id)).status is Status.DELIVERED
    core.clock.now += 2 * DAY_MS
    await retire(store=core.store, clock=core.clock, retention_ms=DAY_MS)
    assert await core.texts(BOB, "s") == []


async def test_what_has_lost_its_content_is_skipped(core: Core, deliverer: Deliverer) -> None:
    """There is nothing to be replayed: its letter stays until it is purged."""
    lost, kept = await core.store_all(chat(created_ms=core.clock.now), chat(created_ms=core.clock.now))
    await deliverer.wait(HOUR_MS)
    async with core.store.begin() as transaction:
        messages = await transaction.messages([lost.message_id])
        await transaction.put_revision(replace(messages[lost.message_id], content=None, gone=Gone.DELETED))
    asked = await ask(core)

    await deliverer.replay()

    done = await find_replay(asked.id, store=core.store)
    assert (done.state, done.matched, done.replayed, done.skipped) == (ReplayState.DONE, 2, 1, 1)
    assert [letter.message_id for letter in await listed(core)] == [lost.message_id]
    assert (await status(core, kept.message_id)).status is Status.PENDING
    await check_counters(core)


async def test_a_replay_takes_what_fits(core: Core, deliverer: Deliverer) -> None:
    """And leaves the rest where it is."""
    await core.store_all(
        *(notification(to=to, created_ms=core.clock.now) for to in (BOB, CAROL)), chat(created_ms=core.clock.now)
    )
    await deliverer.wait(HOUR_MS)
    asked = await ask(core, LetterFilter(channel="news", recipient=BOB))

    await deliverer.replay()

    assert (await find_replay(asked.id, store=core.store)).replayed == 1
    assert sorted((letter.channel, letter.recipient) for letter in await listed(core)) == [
        ("chat", BOB),
        ("news", CAROL),
    ]


async def test_what_is_answered_meanwhile_is_not_replayed(core: Core, deliverer: Deliverer) -> None:
    """It counts as skipped, so that each letter that was there is one or the other."""
    await core.connect(BOB, "phone")
    await core.store_all(*(chat(created_ms=core.clock.now) for _ in range(3)))
    await deliverer.wait(HOUR_MS)
    asked = await ask(core)
    await core.ack(BOB, "phone", {"s": 2})

    await deliverer.replay()

    done = await find_replay(asked.id, store=core.store)
    assert (done.matched, done.replayed, done.skipped) == (3, 1, 2)


async def test_what_fails_during_a_replay_is_not_in_it(core: Core, deliverer: Deliverer) -> None:
    """So that a replay of what fails at once comes to its end."""
    await core.store_all(chat(created_ms=core.clock.now))
    await deliverer.wait(HOUR_MS)
    asked = await ask(core)
    await core.store_all(chat(created_ms=core.clock.now))
    await deliverer.wait(HOUR_MS)

    await deliverer.replay()

    assert (await find_replay(asked.id, store=core.store)).replayed == 1
    assert len(await listed(core)) == 1


async def test_replays_are_in_the_log(core: Core, deliverer: Deliverer) -> None:
    """Who asked for what, with how many there were."""
    await core.store_all(chat(created_ms=core.clock.now), chat(created_ms=core.clock.now))
    await deliverer.wait(HOUR_MS)
    first, _ = await listed(core)
    one = await replay_letter(core, deliverer, first)
    core.clock.now += 1
    several = await ask(core, LetterFilter(recipient=BOB))

    entries, _ = await core.store.audit_entries(AuditFilter(action="dead_letter.replay"), None, 10)

    assert [(entry.target, entry.details) for entry in entries] == [
        (several.id, b'{"recipient": "bob", "matched": 1}'),
        (first.id, b'{"replay": "%b", "replayed": 1, "skipped": 0}' % one.id.encode()),
    ]


async def test_what_is_not_there_is_not_replayed(core: Core, deliverer: Deliverer) -> None:
    """Neither a letter that never was nor one that was purged; and such a replay is not to be found."""
    await core.store_all(chat(created_ms=core.clock.now))
    await deliverer.wait(HOUR_MS)
    (letter,) = await listed(core)
    await purge_one(letter.id, actor=CLI, store=core.store, clock=core.clock)

    for identifier in (letter.id, letter.message_id):
        with pytest.raises(Rejected):
            await replay_letter(core, deliverer, letter._replace(id=identifier))
    with pytest.raises(Rejected):
        await find_replay(letter.id, store=core.store)


async def test_a_replay_that_names_an_erased_user_is_forgotten(core: Core, deliverer: Deliverer) -> None:
    """With everything else that is about him."""
    await core.store_all(chat(created_ms=core.clock.now))
    await deliverer.wait(HOUR_MS)
    named, unnamed = await ask(core, LetterFilter(recipient=BOB)), await ask(core, LetterFilter(channel="chat"))

    await erase(core, BOB)
    await deliverer.replay()

    assert [identifier for (identifier,) in await table(core, "replays", "id")] == [unnamed.id]
    assert (await find_replay(unnamed.id, store=core.store)).skipped == 1
    assert named.id != unnamed.id


async def test_a_finished_replay_ages_away(core: Core, deliverer: Deliverer) -> None:
    """One that is not done stays."""
    done = await ask(core)
    await deliverer.replay()
    core.clock.now += 1
    running = await ask(core)
    core.clock.now += 3 * DAY_MS

    await retire(store=core.store, clock=core.clock, retention_ms=DAY_MS)

    assert [identifier for (identifier,) in await table(core, "replays", "id")] == [running.id]
    assert done.id != running.id


# Ten thousand


USERS = [UserId(f"user-{number:03}") for number in range(250)]
MANY = 10_000
EXPIRING = 7  # every seventh has a time to live


async def make_letters(url: str, clock: HurriedClock) -> list[MessageId]:
    """Ten thousand messages in two channels that nobody has acknowledged in time."""
    sent: list[MessageId] = []
    async with open_core(url, clock) as core:
        deliverer = Deliverer(core, {"chat": QUICK, "news": QUICK, "offers": QUICK})
        commands = [
            notification(
                f"number {number}",
                to=USERS[number % len(USERS)],
                channel=("news", "offers")[number % 3 == 0],
                created_ms=clock.now,
                expires_at=clock.now + 60_000 if number % EXPIRING == 0 else None,
            )
            for number in range(MANY)
        ]
        for start in range(0, MANY, 200):
            sent += [stored.message_id for stored in await core.store_all(*commands[start : start + 200])]
        await deliverer.wait(HOUR_MS)
        await deliverer.expire()
        assert await core.store.count_letters(ALL, 2 * MANY) == MANY
        await check_counters(core)
    return sent


@pytest.mark.slow
async def test_ten_thousand_letters_are_replayed_through_restarts_and_none_twice(url: str) -> None:
    """Ended and begun again every few steps, and asked for twice: progress only grows, each is replayed once."""
    clock = HurriedClock()
    sent = await make_letters(url, clock)
    progress: list[int] = []
    asked: list[str] = []
    while not asked or progress[-1] < MANY:
        async with open_core(url, clock) as core:
            deliverer = Deliverer(core, {"news": QUICK, "offers": QUICK})
            if len(asked) < 2:  # a second time while the first is under way
                asked.append((await ask(core)).id)
            for _ in range(7):
                await replay_next(store=core.store, ringer=deliverer.ringer, clock=clock, policies=deliverer.policies)
            progress.append((await find_replay(asked[0], store=core.store)).replayed)
            await check_counters(core)

    assert progress == sorted(progress)
    assert progress[0] == 7 * BATCH
    async with open_core(url, clock) as core:
        deliverer = Deliverer(core, {"news": QUICK, "offers": QUICK})
        await deliverer.replay()
        first, second = [await find_replay(each, store=core.store) for each in asked]
        assert (first.state, first.matched, first.replayed, first.skipped) == (ReplayState.DONE, MANY, MANY, 0)
        assert (second.state, second.replayed) == (ReplayState.DONE, 0)
        assert await letters(core) == []
        await check_counters(core)

        await check_each_is_rung_for_once(core, deliverer, sent)


async def check_each_is_rung_for_once(core: Core, deliverer: Deliverer, sent: list[MessageId]) -> None:
    """Each message has one new beginning and fails once more, at one place, when nobody comes."""
    begun = Counter[tuple[str, str, int]]()
    for user, lane, low, high, outcome in await table(core, "attempts", "user_id", "lane", "low", "high", "outcome"):
        if outcome in {"replayed", "renewed"}:
            begun.update((user, lane, position) for position in range(low + 1, high + 1))
    assert sum(begun.values()) == MANY
    assert set(begun.values()) == {1}
    await deliverer.wait(HOUR_MS)
    await deliverer.expire()
    assert sorted(message for message, *_ in await letters(core)) == sorted(sent)
    entries = await table(core, "stream_events", "message_id", "own")
    assert len(entries) == MANY + len(range(0, MANY, EXPIRING))
    assert sorted(message for message, own in entries if not own) == sorted(sent)
    for message in (sent[0], sent[1]):
        found = await read_message_status(message, BACKEND, limit=1, store=core.store, now_ms=core.clock.now)
        assert found.recipients.items[0].status is Status.FAILED
