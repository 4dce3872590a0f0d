"""Messages that fail: who is told, what is kept, and what turns a failure around."""

from typing import Any

import msgspec
import pytest

from aldis.domain.audit import CLI
from aldis.domain.deliveries import Reason
from aldis.domain.errors import Rejected
from aldis.domain.ids import MessageId
from aldis.domain.retry import DEFAULT_RETRY, RetryPolicy
from aldis.domain.status import Status
from aldis.domain.streams import Priority
from aldis.ports.administration import AuditFilter
from aldis.ports.backplane import Knock
from aldis.ports.dead_letters import LetterFilter
from aldis.services.list_dead_letters import list_dead_letters
from aldis.services.message_status import read_message_status
from aldis.services.purge_dead_letters import Purged, purge_dead_letters, purge_one
from aldis.services.sweep import keep_up, relay_outbox, retire
from integration.core.commands import ALICE, BOB, CAROL, chat, notification, talk
from integration.core.delivering import (
    BACKEND,
    Deliverer,
    HeldBroker,
    check_counters,
    letters,
    next_due,
    status,
    table,
    timeline,
    user,
)
from integration.core.running_core import Core, event_json
from integration.core.test_erasure import erase

HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS
QUICK = RetryPolicy(initial_ms=1_000, factor=1, max_ms=1_000, max_attempts=2)


@pytest.fixture
def deliverer(core: Core) -> Deliverer:
    """A worker whose messages fail within seconds."""
    return Deliverer(core, {"chat": QUICK, "news": QUICK})


async def announced(core: Core, type_: str) -> list[dict[str, Any]]:
    """What has left the outbox in events of a type."""
    left: list[dict[str, Any]] = []

    class Listening(HeldBroker):
        async def announce(self, topic: str, payload: bytes) -> None:
            left.extend(event for event in msgspec.json.decode(payload) if topic.startswith(f"{type_}."))

    broker = Listening(is_heard=True)
    await relay_outbox(store=core.store, broker=broker, clock=core.clock, metrics=core.metrics)
    assert {event["type"] for event in left} <= {type_}
    return [event["data"] for event in left]


async def purge(core: Core, wanted: LetterFilter = LetterFilter(), *, everything: bool = False) -> Purged:  # noqa: B008
    return await purge_dead_letters(wanted, everything=everything, actor=CLI, store=core.store, clock=core.clock)


# Attempts used up


async def test_a_message_that_nobody_acknowledges_fails(core: Core, deliverer: Deliverer) -> None:
    """With its reason, a dead letter that says what is known, and a count."""
    (sent,) = await core.store_all(chat(created_ms=core.clock.now))

    await deliverer.wait(HOUR_MS)

    told = await status(core, sent.message_id)
    assert (told.status, told.reason, told.failed_at) == (
        Status.FAILED,
        "attempts_exhausted",
        core.clock.now - HOUR_MS + 2_000 + QUICK.delay_ms(1, 0.5),
    )
    (letter,) = (await list_dead_letters(LetterFilter(), limit=9, store=core.store)).items
    assert (letter.message_id, letter.recipient, letter.channel, letter.attempts) == (sent.message_id, BOB, "chat", 2)
    assert core.metrics.dead_letters.labels(reason="attempts_exhausted")._value.get() == 1
    await check_counters(core)


async def test_the_sender_is_told(core: Core, deliverer: Deliverer) -> None:
    """On all of his devices, as state: the newest word on a message is all that counts."""
    (sent,) = await core.store_all(chat(created_ms=core.clock.now))

    await deliverer.wait(HOUR_MS)

    expected = {
        "message_id": sent.message_id,
        "conversation_id": sent.conversation_id,
        "recipient": BOB,
        "status": "failed",
        "reason": "attempts_exhausted",
    }
    assert await core.told(ALICE, "status") == [expected]
    (event,) = await core.page(ALICE, "r")
    assert event_json(event) == {"type": "status", "status": expected}
    assert await table(core, "states", "user_id", "key") == [(ALICE, f"status:{sent.message_id}:{BOB}")]


async def test_a_backend_is_told_by_an_event(core: Core, deliverer: Deliverer) -> None:
    """`message.failed` leaves by the outbox, without content; nobody's devices are told."""
    (sent,) = await core.store_all(notification(created_ms=core.clock.now))

    await deliverer.wait(HOUR_MS)

    (fact,) = await announced(core, "message.failed")
    assert {
        key: fact[key] for key in ("message_id", "channel", "kind", "sender", "recipient", "reason", "attempts")
    } == {
        "message_id": sent.message_id,
        "channel": "news",
        "kind": "notification",
        "sender": {"backend": "shop"},
        "recipient": BOB,
        "reason": "attempts_exhausted",
        "attempts": 2,
    }
    assert "content" not in fact
    assert await table(core, "states", "key") == []


async def test_what_has_failed_is_kept(core: Core, deliverer: Deliverer) -> None:
    """A device that comes afterwards gets it, in its place."""
    await core.store_all(chat("one", created_ms=core.clock.now), chat("two", created_ms=core.clock.now))
    await deliverer.wait(HOUR_MS)

    attached = await core.connect(BOB, "phone")

    assert attached.start.s == 0
    assert await core.texts(BOB, "s") == ["one", "two"]


# Turned around


async def test_a_late_acknowledgement_turns_a_failure_around(core: Core, deliverer: Deliverer) -> None:
    """`failed` becomes `delivered`, the letter is closed, and the sender is told again."""
    await core.connect(BOB, "phone")
    (sent,) = await core.store_all(chat(created_ms=core.clock.now))
    await deliverer.wait(HOUR_MS)

    await core.ack(BOB, "phone", {"s": 1})

    assert (await status(core, sent.message_id)).status is Status.DELIVERED
    assert await letters(core) == []
    (told,) = await core.told(ALICE, "status")
    assert (told["status"], told["reason"]) == ("delivered", None)
    assert [each.type for each in await timeline(core, sent.message_id)][-2:] == ["failed", "delivered"]
    await check_counters(core)


async def test_a_late_acknowledgement_closes_what_it_has_passed(core: Core, deliverer: Deliverer) -> None:
    """And nothing else: not what lies above, not the other lane, not what that device never got."""
    await core.connect(BOB, "phone")
    first, second, third = await core.store_all(
        chat(created_ms=core.clock.now), chat(created_ms=core.clock.now), chat(created_ms=core.clock.now)
    )
    (urgent,) = await core.store_all(chat(priority=Priority.URGENT, created_ms=core.clock.now))
    await deliverer.wait(HOUR_MS)

    await core.connect(BOB, "tablet")
    (later,) = await core.store_all(chat(created_ms=core.clock.now))
    await core.ack(BOB, "tablet", {"s": 4})
    assert len(await letters(core)) == 4
    await core.ack(BOB, "phone", {"s": 2})

    assert {message for message, *_ in await letters(core)} == {third.message_id, urgent.message_id}
    found = [(await status(core, each.message_id)).status for each in (first, second, third, urgent, later)]
    assert found == [Status.DELIVERED, Status.DELIVERED, Status.FAILED, Status.FAILED, Status.DELIVERED]
    await check_counters(core)


async def test_a_late_read_turns_a_failure_around(core: Core, deliverer: Deliverer) -> None:
    """Who reads by REST has had it, though no device says so; other conversations are left alone."""
    (sent,) = await core.store_all(chat(created_ms=core.clock.now))
    (other,) = await core.store_all(chat(sender=CAROL, created_ms=core.clock.now))
    await deliverer.wait(HOUR_MS)

    await core.read(BOB, talk(ALICE, BOB), 1)

    assert (await status(core, sent.message_id)).status is Status.READ
    assert [message for message, *_ in await letters(core)] == [other.message_id]
    assert [told["status"] for told in await core.told(ALICE, "status")] == ["read"]
    await check_counters(core)


# Expiry


async def test_a_message_that_expires_undelivered_fails(core: Core, deliverer: Deliverer) -> None:
    """At its time and not before, with the rings that were made for it; nobody rings for it any more."""
    deliverer.policies["chat"] = RetryPolicy(initial_ms=1_000)
    (sent,) = await core.store_all(chat(created_ms=core.clock.now, expires_at=core.clock.now + 10_000))
    await deliverer.wait(9_999)
    assert await deliverer.expire() == 0
    rung = len(await table(core, "attempts", "id"))
    core.clock.now += 1

    assert await deliverer.expire() == 1
    core.doorbell.rung.clear()
    await deliverer.wait(HOUR_MS)

    assert await letters(core) == [(sent.message_id, BOB, "expired", rung)]
    assert not any(isinstance(ring, Knock) for ring in core.doorbell.rung)
    assert (await status(core, sent.message_id)).reason == "expired"
    assert [(told["status"], told["reason"]) for told in await core.told(ALICE, "status")] == [("failed", "expired")]
    assert [fact["reason"] for fact in await announced(core, "message.failed")] == ["expired"]
    assert await table(core, "expiries", "message_id") == []
    await check_counters(core)


async def test_an_expired_message_keeps_its_place(core: Core, deliverer: Deliverer) -> None:
    """A device that comes later gets the place without the content, and may acknowledge it like any other."""
    (sent,) = await core.store_all(chat("secret", created_ms=core.clock.now, expires_at=core.clock.now + 10))
    core.clock.now += 10
    await deliverer.expire()
    await core.connect(BOB, "phone")

    (event,) = await core.page(BOB, "s")

    assert (event.pos, event_json(event)["message"]["content"], event_json(event)["message"]["gone"]) == (
        1,
        None,
        "expired",
    )
    await core.ack(BOB, "phone", {"s": 1})
    assert (await status(core, sent.message_id)).status is Status.DELIVERED
    assert await letters(core) == []


async def test_what_was_delivered_in_time_does_not_fail(core: Core, deliverer: Deliverer) -> None:
    """Or read in time; only who had not had it has missed it."""
    await core.connect(BOB, "phone")
    over = core.clock.now + 10
    acked, read = await core.store_all(
        notification(created_ms=core.clock.now, expires_at=over), chat(created_ms=core.clock.now, expires_at=over)
    )
    await core.ack(BOB, "phone", {"s": 1})
    await core.read(BOB, talk(ALICE, BOB), 1)
    core.clock.now = over

    assert await deliverer.expire() == 0
    assert await letters(core) == []
    assert await table(core, "expiries", "message_id") == []
    assert (await status(core, acked.message_id, BACKEND)).status is Status.DELIVERED
    assert (await status(core, read.message_id)).status is Status.READ


async def test_what_has_failed_already_does_not_fail_again(core: Core, deliverer: Deliverer) -> None:
    """Its first reason stays."""
    (sent,) = await core.store_all(chat(created_ms=core.clock.now, expires_at=core.clock.now + HOUR_MS))
    await deliverer.wait(2 * HOUR_MS)

    await deliverer.expire()

    assert await letters(core) == [(sent.message_id, BOB, "attempts_exhausted", 2)]
    assert [each.reason for each in await timeline(core, sent.message_id) if each.type == "failed"] == [
        "attempts_exhausted"
    ]


async def test_the_others_of_a_stretch_are_rung_for_when_one_expires(core: Core, deliverer: Deliverer) -> None:
    """They fail by themselves, with their own reason."""
    short, lasting = await core.store_all(
        chat(created_ms=core.clock.now, expires_at=core.clock.now + 1_500), chat(created_ms=core.clock.now)
    )
    await deliverer.wait(1_500)
    await deliverer.expire()

    await deliverer.wait(HOUR_MS)

    assert {(message, reason) for message, _, reason, _ in await letters(core)} == {
        (short.message_id, "expired"),
        (lasting.message_id, "attempts_exhausted"),
    }
    for sent, rings in ((short, 1), (lasting, 2)):
        assert [each.attempt for each in await timeline(core, sent.message_id) if each.type == "attempt"] == [
            *range(1, rings + 1)
        ]


async def test_many_messages_expire_in_bounded_steps(core: Core, deliverer: Deliverer) -> None:
    """All of them, each once."""
    over = core.clock.now + 10
    for _ in range(5):
        await core.store_all(*(chat(created_ms=core.clock.now, expires_at=over) for _ in range(150)))
    core.clock.now = over

    assert await deliverer.expire() == 750
    assert await deliverer.expire() == 0
    assert len(await letters(core)) == 750
    await check_counters(core)


# Lists and purging


async def test_letters_are_listed_by_what_they_are(core: Core, deliverer: Deliverer) -> None:
    """Newest first, in pages, by channel, reason and recipient, alone and together."""
    over = core.clock.now + 10
    await core.store_all(
        *(notification(to=to, created_ms=core.clock.now) for to in (BOB, CAROL)),
        *(chat(to=to, created_ms=core.clock.now) for to in (BOB, CAROL)),
        chat(to=BOB, created_ms=core.clock.now, expires_at=over),
    )
    core.clock.now = over
    await deliverer.expire()
    await deliverer.wait(HOUR_MS)

    async def found(wanted: LetterFilter, limit: int = 2) -> list[tuple[str, str, str]]:
        got, before, pages = [], None, 0
        while pages == 0 or before is not None:
            page = await list_dead_letters(wanted, before=before, limit=limit, store=core.store)
            got += page.items
            before, pages = page.next, pages + 1
        assert [letter.id for letter in got] == sorted((letter.id for letter in got), reverse=True)
        return sorted((letter.channel, letter.reason.value, letter.recipient) for letter in got)

    every = [
        ("chat", "attempts_exhausted", "bob"),
        ("chat", "attempts_exhausted", "carol"),
        ("chat", "expired", "bob"),
        ("news", "attempts_exhausted", "bob"),
        ("news", "attempts_exhausted", "carol"),
    ]
    for channel in (None, "chat", "news"):
        for reason in (None, *{letter[1] for letter in every}):
            for recipient in (None, BOB, CAROL):
                wanted = LetterFilter(channel, reason, recipient)  # type: ignore[arg-type]  # its text is as good
                fits = [
                    letter
                    for letter in every
                    if channel in {None, letter[0]} and reason in {None, letter[1]} and recipient in {None, letter[2]}
                ]
                assert await found(wanted) == fits
                assert await core.store.count_letters(wanted, 100) == len(fits)


async def test_a_purged_letter_is_gone_and_its_message_has_failed(core: Core, deliverer: Deliverer) -> None:
    """It is not listed, counted or purged again; a late acknowledgement still turns the failure around."""
    await core.connect(BOB, "phone")
    (sent,) = await core.store_all(chat(created_ms=core.clock.now))
    await deliverer.wait(HOUR_MS)
    (letter,) = (await list_dead_letters(LetterFilter(), limit=9, store=core.store)).items

    await purge_one(letter.id, actor=CLI, store=core.store, clock=core.clock)

    assert (await list_dead_letters(LetterFilter(), limit=9, store=core.store)).items == []
    assert await core.store.count_letters(LetterFilter(), 9) == 0
    assert (await status(core, sent.message_id)).reason == "attempts_exhausted"
    with pytest.raises(Rejected):
        await purge_one(letter.id, actor=CLI, store=core.store, clock=core.clock)
    await deliverer.wait(HOUR_MS)
    await core.ack(BOB, "phone", {"s": 1})
    assert [told["status"] for told in await core.told(ALICE, "status")] == ["delivered"]
    await check_counters(core)


async def test_purging_takes_what_fits_and_is_in_the_log(core: Core, deliverer: Deliverer) -> None:
    """By a filter; everything only when that is said."""
    await core.store_all(chat(created_ms=core.clock.now), notification(created_ms=core.clock.now))
    await deliverer.wait(HOUR_MS)
    with pytest.raises(Rejected) as refused:
        await purge(core)
    assert refused.value.field == "all"

    assert await purge(core, LetterFilter(channel="news")) == Purged(1, more=False)
    core.clock.now += 1
    assert await purge(core, everything=True) == Purged(1, more=False)

    entries, _ = await core.store.audit_entries(AuditFilter(), None, 10)
    assert [(each.actor, each.action, msgspec.json.decode(each.details)) for each in entries] == [
        (CLI, "dead_letter.delete", {"purged": 1}),
        (CLI, "dead_letter.delete", {"channel": "news", "purged": 1}),
    ]


async def test_a_few_letters_among_many_are_purged(core: Core, deliverer: Deliverer) -> None:
    """However many others an index has before them: a call finds them, and says that there are no more."""
    over = core.clock.now + 500
    await core.store_all(*(chat(created_ms=core.clock.now, expires_at=over) for _ in range(3)))
    for _ in range(2):
        await core.store_all(*(chat(created_ms=core.clock.now) for _ in range(200)))
    core.clock.now = over
    await deliverer.expire()
    await deliverer.wait(HOUR_MS)

    wanted = LetterFilter(recipient=BOB, reason=Reason.EXPIRED)
    purged = await purge_dead_letters(
        wanted, everything=False, actor=CLI, store=core.store, clock=core.clock, window=50
    )

    assert purged == Purged(3, more=False)


async def test_many_letters_are_purged_in_several_calls(core: Core, deliverer: Deliverer) -> None:
    """Each is one transaction of bounded size, and says whether to call again."""
    for _ in range(6):
        await core.store_all(*(chat(created_ms=core.clock.now) for _ in range(200)))
    await deliverer.wait(HOUR_MS)

    purged = [await purge(core, LetterFilter(recipient=BOB)), await purge(core, LetterFilter(recipient=BOB))]

    assert purged == [Purged(1_000, more=True), Purged(200, more=False)]


# What ages, and what is erased


async def test_records_of_deliveries_age_away(core: Core, deliverer: Deliverer) -> None:
    """Attempts, expiries, purged letters and what senders were told; letters that wait stay."""
    await core.store_all(
        *(chat(created_ms=core.clock.now) for _ in range(2)),
        chat(created_ms=core.clock.now, expires_at=core.clock.now + 400 * DAY_MS),
    )
    await deliverer.wait(HOUR_MS)
    newest = (await list_dead_letters(LetterFilter(), limit=1, store=core.store)).items[0]
    await purge_one(newest.id, actor=CLI, store=core.store, clock=core.clock)
    core.clock.now += DAY_MS
    await retire(store=core.store, clock=core.clock, retention_ms=DAY_MS)
    assert await table(core, "attempts", "id") != []
    core.clock.now += 60 * DAY_MS

    await retire(store=core.store, clock=core.clock, retention_ms=DAY_MS)
    await keep_up(store=core.store, clock=core.clock, retention_ms=DAY_MS)

    assert await table(core, "attempts", "id") == []
    assert await table(core, "expiries", "message_id") == []
    assert await table(core, "stream_events", "message_id") == []
    assert await core.told(ALICE, "status") == []
    assert len(await letters(core)) == 2
    await check_counters(core)


async def test_what_retention_has_taken_is_not_rung_for_and_does_not_fail(core: Core) -> None:
    """Nobody can get it any more: its stretch ends without a word."""
    deliverer = Deliverer(core, {"chat": RetryPolicy(initial_ms=DAY_MS, max_ms=DAY_MS, max_attempts=50)})
    await core.store_all(chat(created_ms=core.clock.now))
    await deliverer.wait(2 * DAY_MS)
    await retire(store=core.store, clock=core.clock, retention_ms=DAY_MS)

    await deliverer.wait_out()

    assert await table(core, "rings", "id") == []
    assert await letters(core) == []
    await check_counters(core)


async def test_a_letter_tells_of_a_failure_after_the_lane_has_forgotten(core: Core, deliverer: Deliverer) -> None:
    """A member's progress only says how far he has come; the letter says what he has not had."""
    await core.connect(BOB, "phone")
    (missed,) = await core.store_all(chat(created_ms=core.clock.now))
    await deliverer.wait(HOUR_MS)
    await core.connect(BOB, "tablet")
    (had,) = await core.store_all(chat(created_ms=core.clock.now))
    await core.ack(BOB, "tablet", {"s": 2})
    core.clock.now += 3 * DAY_MS

    await retire(store=core.store, clock=core.clock, retention_ms=DAY_MS)

    assert (await status(core, missed.message_id)).status is Status.FAILED
    assert (await status(core, had.message_id)).status is Status.DELIVERED


async def test_an_erased_user_leaves_no_trace_of_deliveries(core: Core, deliverer: Deliverer) -> None:
    """Neither as the one who missed something nor as the one who wrote it; the counters of the others are right."""
    await core.store_all(
        chat(created_ms=core.clock.now),
        chat(sender=BOB, to=ALICE, created_ms=core.clock.now),
        chat(sender=BOB, to=CAROL, created_ms=core.clock.now),
        chat(sender=ALICE, to=CAROL, created_ms=core.clock.now, expires_at=core.clock.now + DAY_MS),
        chat(sender=BOB, to=CAROL, created_ms=core.clock.now, expires_at=core.clock.now + DAY_MS),
    )
    await deliverer.wait(1_500)
    await core.store_all(chat(sender=CAROL, to=BOB, created_ms=core.clock.now))
    await deliverer.wait(HOUR_MS)
    await core.store_all(chat(created_ms=core.clock.now))
    await deliverer.wait(1_500)

    await erase(core, BOB)
    await deliverer.wait_out()

    assert [recipient for _, recipient, *_ in await letters(core)] == [CAROL]
    assert all(BOB not in row for row in await table(core, "rings", "user_id"))
    assert all(BOB not in row for row in await table(core, "attempts", "user_id"))
    assert not any(BOB in key for _, key in await table(core, "states", "user_id", "key"))
    assert len(await table(core, "expiries", "message_id")) == 1
    await check_counters(core)


async def test_what_was_purged_with_its_sender_does_not_fail(core: Core, deliverer: Deliverer) -> None:
    """There is nothing left that could be delivered or replayed."""
    deliverer.policies["chat"] = DEFAULT_RETRY
    (sent,) = await core.store_all(chat(sender=BOB, to=CAROL, created_ms=core.clock.now))
    await deliverer.wait(10_000)
    assert await next_due(core) is not None

    await erase(core, BOB)
    await deliverer.wait_out()

    assert await letters(core) == []
    found = await read_message_status(
        MessageId(sent.message_id), user(CAROL), limit=9, store=core.store, now_ms=core.clock.now
    )
    assert found.recipients.items[0].status is Status.PENDING
