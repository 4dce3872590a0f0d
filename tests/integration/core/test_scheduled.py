"""Sends wait for their time and are then sent once, by the rules of that time, whatever happens in between."""

from collections.abc import AsyncIterator, Sequence

import pytest

from aldis.adapters.memory.clock import START_MS, DrivenClock
from aldis.domain.callers import Scope
from aldis.domain.channels import ChannelType
from aldis.domain.errors import Rejected, Unavailable
from aldis.domain.ids import ConversationId, MessageId, UserId
from aldis.domain.messages import SendMessage, Stored
from aldis.domain.scheduling import GRACE_MS, HORIZON_MS, ScheduledId, ScheduledState, due_ms_of
from aldis.services.bulk_sends import ROOM, BulkSends
from aldis.services.cancel_scheduled import cancel_scheduled
from aldis.services.erase_user import erase_all, request_erasure
from aldis.services.ring import Ringer
from aldis.services.schedule_sends import Scheduled
from aldis.services.send_scheduled import KEPT_MS, LEASE_MS, LEASED, LOOK_SECONDS, RETRY_MS, ScheduledSender
from aldis.services.sweep import retire
from aldis.telemetry.tasks import cancel_and_wait, spawn
from integration.core.commands import ALICE, BOB, CAROL, chat, news_of, talk
from integration.core.faulty_store import REFUSED, FaultyStore
from integration.core.running_core import Core, open_core
from integration.core.scheduling import NEWS, SHOP, SOON, Schedule, letter, notice

DAY_MS = 24 * 3600 * 1000
BAD = REFUSED.decode()


@pytest.fixture
async def schedule(core: Core) -> Schedule:
    """The backend with its key, over a core in memory."""
    schedule = Schedule(core)
    await schedule.give_key()
    return schedule


@pytest.fixture
async def faulty_schedule(faulty_core: Core, faulty: FaultyStore) -> Schedule:
    """The same over a store that fails."""
    schedule = Schedule(faulty_core, faulty.as_store())
    await schedule.give_key()
    return schedule


def code(answer: object) -> str:
    assert isinstance(answer, Rejected), answer
    return answer.code


async def contents(core: Core, conversation: ConversationId | None = None) -> list[str]:
    """The texts of a conversation, oldest first; of what bob was notified of, if nothing else is said."""
    found = await core.store.history(conversation or news_of(BOB), before=None, after=0, limit=200)
    return [(message.content or b"").decode().partition('"text":"')[2].removesuffix('"}') for message in found]


async def failure(schedule: Schedule, scheduled: ScheduledId) -> str:
    """The code of the reason why it failed."""
    row = await schedule.row(scheduled)
    assert (row.state, row.reason is not None) == (ScheduledState.FAILED, True)
    return (row.reason or "").partition('"code":"')[2].partition('"')[0]


async def take_back(schedule: Schedule, scheduled: ScheduledId, owner: str = SHOP) -> None:
    await cancel_scheduled(owner, scheduled, store=schedule.core.store, metrics=schedule.core.metrics)


async def erase(schedule: Schedule, user: UserId) -> None:
    core = schedule.core
    ringer = Ringer(presence=core.doorbell, backplane=core.doorbell)
    await request_erasure(user, actor="cli", store=core.store, clock=core.clock)
    await erase_all(store=core.store, ringer=ringer, clock=core.clock)


# When it is due


async def test_it_waits_and_is_sent_when_it_is_due(schedule: Schedule) -> None:
    """Not before; then it is a message like any other, and its row has gone."""
    (scheduled,) = await schedule.schedule(notice("hello", client_id="c1"))

    assert await schedule.send_due(SOON - 1) == 0
    assert await contents(schedule.core) == []
    assert await schedule.send_due(SOON) == 1

    (message,) = await schedule.core.store.history(news_of(BOB), before=None, after=0, limit=9)
    assert (message.created_at, message.client_id, message.sender.backend) == (SOON, "c1", "shop")
    assert await schedule.core.texts(BOB, "s") == ["hello"]
    assert await schedule.core.store.scheduled(scheduled) is None
    assert (await schedule.outcome(scheduled)).messages == (message,)


async def test_life_and_priority_count_from_the_sending(schedule: Schedule) -> None:
    """A message that expires in a minute does so a minute after it was sent."""
    await schedule.schedule(notice(expires_in=60))

    await schedule.send_due()

    (message,) = await schedule.core.store.history(news_of(BOB), before=None, after=0, limit=9)
    assert message.expires_at == SOON + 60_000


async def test_a_chat_in_a_users_name_is_sent_too(schedule: Schedule) -> None:
    """As that user, into the conversation of both."""
    await schedule.schedule(letter("from alice"))

    await schedule.send_due()

    assert await schedule.core.texts(BOB, "s") == ["from alice"]
    assert await contents(schedule.core, talk(ALICE, BOB)) == ["from alice"]


async def test_several_recipients_get_one_each(schedule: Schedule) -> None:
    """One scheduled send, as many messages."""
    (scheduled,) = await schedule.schedule(notice("all", to=[ALICE, BOB, CAROL]))

    await schedule.send_due()

    assert [await contents(schedule.core, news_of(user)) for user in (ALICE, BOB, CAROL)] == [["all"]] * 3
    assert len((await schedule.outcome(scheduled)).messages) == 3


async def test_those_for_one_moment_keep_the_order_in_which_they_were_scheduled(schedule: Schedule) -> None:
    """Within one call and over several, though their times are the same."""
    texts = [f"{number:03}" for number in range(3 * LEASED)]

    await schedule.schedule(*(notice(text) for text in texts[:LEASED]))
    for text in texts[LEASED : LEASED + 20]:
        await schedule.schedule(notice(text))
    await schedule.schedule(*(notice(text) for text in texts[LEASED + 20 :]))
    await schedule.send_due()

    found: list[str] = []
    while more := await schedule.core.store.history(news_of(BOB), before=None, after=len(found), limit=200):
        found += [(message.content or b"").decode()[-5:-2] for message in more]
    assert found == texts


@pytest.mark.parametrize(("at", "is_taken"), [(-GRACE_MS, True), (-GRACE_MS - 1, False), (HORIZON_MS + 1, False)])
async def test_its_time_is_ahead_and_not_too_far(schedule: Schedule, at: int, is_taken: bool) -> None:
    """What a moment ago was due is sent at once; what is refused holds no key."""
    (answer,) = await schedule.ask(notice(at=START_MS + at, client_id="c1"))

    assert isinstance(answer, Scheduled) == is_taken
    if not is_taken:
        assert code(answer) == "bad_request"
        assert await schedule.schedule(notice(client_id="c1"))
    else:
        assert await schedule.send_due(START_MS) == 1


# Once


async def test_a_repeat_gets_the_same_id_before_and_after_its_time(schedule: Schedule) -> None:
    """Whatever has become of it; it is sent once."""
    (first,) = await schedule.schedule(notice(client_id="c1"))
    (again,) = await schedule.ask(notice(client_id="c1"))
    await schedule.send_due()
    (afterwards,) = await schedule.ask(notice(client_id="c1"))

    assert [again, afterwards] == [Scheduled(first, duplicate=True)] * 2
    assert due_ms_of(first) == SOON
    assert await schedule.send_due() == 0
    assert len(await contents(schedule.core)) == 1


async def test_a_repeat_is_known_as_long_after_its_time_as_that_of_a_message(schedule: Schedule) -> None:
    """A client_id for thirty days more, a request's key for a day, counted from when it is due."""
    far = START_MS + 100 * DAY_MS
    draft = notice(at=far, client_id="c1", request_key="r1", fingerprint="body")
    (first,) = await schedule.schedule(draft)

    for days, client_known, request_known in ((99, True, True), (101, True, False), (129, True, False)):
        schedule.core.clock.now = START_MS + days * DAY_MS + 60_000
        while await retire(store=schedule.core.store, clock=schedule.core.clock, retention_ms=30 * DAY_MS):
            pass
        (by_client,) = await schedule.ask(notice(at=far, client_id="c1"))
        by_request = notice(at=far + 50 * DAY_MS, request_key="r1", fingerprint="body")
        assert by_client == Scheduled(first, duplicate=client_known)
        assert ((await schedule.ask(by_request))[0] == Scheduled(first, duplicate=True)) == request_known


@pytest.mark.parametrize("together", [True, False])
async def test_equal_requests_make_one(schedule: Schedule, together: bool) -> None:
    """At once and one after the other; another body under the same Idempotency-Key is refused."""
    drafts = [notice(request_key="r1", fingerprint=body) for body in ("one", "one", "two")]

    answers = await schedule.ask(*drafts) if together else [(await schedule.ask(draft))[0] for draft in drafts]

    first = answers[0]
    assert isinstance(first, Scheduled)
    assert answers[1] == first._replace(duplicate=True)
    assert code(answers[2]) == "idempotency_mismatch"
    assert await schedule.send_due() == 1


async def test_a_wrong_body_does_not_spoil_the_right_one_beside_it(schedule: Schedule) -> None:
    """What is stored under a key decides, not who comes first in a group."""
    right, wrong = notice(request_key="r1", fingerprint="one"), notice(request_key="r1", fingerprint="two")
    (first,) = await schedule.schedule(right)

    refused, again = await schedule.ask(wrong, right)

    assert code(refused) == "idempotency_mismatch"
    assert again == Scheduled(first, duplicate=True)


async def test_beside_one_that_is_refused_another_body_is_asked_to_come_again(schedule: Schedule) -> None:
    """The one that is refused holds no key."""
    late = notice(at=START_MS - DAY_MS, request_key="r1", fingerprint="one")
    other = notice(request_key="r1", fingerprint="two")

    refused, beside = await schedule.ask(late, other)

    assert code(refused) == "bad_request"
    assert isinstance(beside, Unavailable)
    assert await schedule.schedule(other)


async def test_a_client_id_is_of_a_send_or_of_a_scheduled_one(schedule: Schedule) -> None:
    """Whichever came first keeps it; the other is told whose it is."""
    (stored,) = await schedule.core.store_all(chat(client_id="sent", sender=ALICE))
    (scheduled,) = await schedule.schedule(letter(client_id="waits"))

    (refused,) = await schedule.ask(letter(client_id="sent"))
    answers = await schedule.core.send(chat(client_id="waits"), chat("other", client_id="free"))

    assert code(refused) == code(answers[0]) == "conflict"
    assert stored.message_id in str(refused)
    assert scheduled in str(answers[0])
    assert isinstance(answers[1], Stored)


async def test_a_request_key_of_a_message_is_another_body(schedule: Schedule) -> None:
    """A body with a time is not the body without one."""
    await schedule.core.store_all(chat(request_key="r1", fingerprint="now"))

    (answer,) = await schedule.ask(letter(request_key="r1", fingerprint="later"))

    assert code(answer) == "idempotency_mismatch"


# Killed in the middle


@pytest.mark.parametrize("fault", ["lost_answers", "lost_commits"])
@pytest.mark.parametrize("transaction", [1, 2, 3])
async def test_a_crash_at_any_step_sends_once(
    faulty_schedule: Schedule, faulty: FaultyStore, fault: str, transaction: int
) -> None:
    """Leasing, storing, forgetting: whichever of the three did not answer, whether it happened or not."""
    (scheduled,) = await faulty_schedule.schedule(notice("once", to=[ALICE, BOB], client_id="c1"))
    core = faulty_schedule.core
    core.clock.now = SOON
    faulty.fail_at(fault, transaction)

    for _ in range(3):
        try:
            await faulty_schedule.worker.send_due()
        except Unavailable:
            core.clock.now += LEASE_MS  # another worker, when the lease has ended
        else:
            core.clock.now += RETRY_MS
    assert faulty.failed == 1

    await faulty_schedule.send_due(SOON + 10 * LEASE_MS)
    assert [await contents(core, news_of(user)) for user in (ALICE, BOB)] == [["once"], ["once"]]
    assert (await faulty_schedule.outcome(scheduled)).state is ScheduledState.SENT
    assert await core.store.scheduled(scheduled) is None


async def test_what_was_leased_is_sent_after_a_restart(url: str) -> None:
    """The process dies between leasing and storing, and between storing and forgetting; the file is opened again."""
    async with open_core(url) as core:
        schedule = Schedule(core)
        await schedule.give_key()
        await schedule.schedule(*(notice(f"{number:02}") for number in range(20)))
        core.clock.now = SOON
        until = SOON + LEASE_MS
        leased = await core.store.run(lambda transaction: transaction.lease_scheduled(SOON, until, 15))
        sendings = [await schedule.worker._compose(row, await core.store.api_keys()) for row in leased[:10]]
        await core.store_all(*(command for sending in sendings for command in sending.commands))

    async with open_core(url) as core:
        again = Schedule(core)
        assert await again.send_due(SOON) == 5
        assert await again.send_due(until) == 15

        assert sorted(await contents(core)) == [f"{number:02}" for number in range(20)]
        assert await core.store.next_scheduled() is None


async def test_a_worker_that_comes_back_late_stores_nothing(schedule: Schedule) -> None:
    """Its lease is another's by then; what the other has sent is not sent again."""
    await schedule.schedule(notice("once"))
    core = schedule.core
    core.clock.now = SOON
    (row,) = await core.store.run(lambda transaction: transaction.lease_scheduled(SOON, SOON + LEASE_MS, 1))
    late = await schedule.worker._compose(row, await core.store.api_keys())

    assert await schedule.send_due(SOON + LEASE_MS) == 1
    answers = await core.send(*late.commands)

    assert [code(answer) for answer in answers] == ["conflict"]
    assert await contents(core) == ["once"]


async def test_what_was_sent_before_a_crash_is_not_failed_by_later_rules(
    faulty_schedule: Schedule, faulty: FaultyStore
) -> None:
    """It was stored, then the worker died, then the key was revoked: it counts as sent."""
    (scheduled,) = await faulty_schedule.schedule(notice("sent"))
    faulty_schedule.core.clock.now = SOON
    faulty.fail_at("lost_commits", 3)
    with pytest.raises(Unavailable):
        await faulty_schedule.worker.send_due()
    await faulty_schedule.give_key(revoked_at=SOON)

    await faulty_schedule.send_due(SOON + LEASE_MS)

    assert (await faulty_schedule.outcome(scheduled)).state is ScheduledState.SENT
    assert await contents(faulty_schedule.core) == ["sent"]


async def test_of_several_only_those_whom_it_did_not_reach_have_failed(
    faulty_schedule: Schedule, faulty: FaultyStore
) -> None:
    """Half was stored when the worker died, then the key was revoked: the other half is kept as failed."""
    (scheduled,) = await faulty_schedule.schedule(notice(to=[ALICE, BOB, CAROL]))
    core, worker = faulty_schedule.core, faulty_schedule.worker
    core.clock.now = SOON
    (row,) = await core.store.run(lambda transaction: transaction.lease_scheduled(SOON, SOON + LEASE_MS, 1))
    sending = await worker._compose(row, await core.store.api_keys())
    await core.store_all(*sending.commands[:2])
    await faulty_schedule.give_key(revoked_at=SOON)

    await faulty_schedule.send_due(SOON + LEASE_MS)

    row = await faulty_schedule.row(scheduled)
    assert await failure(faulty_schedule, scheduled) == "forbidden"
    assert '"to_users":["carol"]' in row.draft
    assert [len(await contents(core, news_of(user))) for user in (ALICE, BOB, CAROL)] == [1, 1, 0]


async def test_a_database_that_is_away_is_tried_again(faulty_schedule: Schedule, faulty: FaultyStore) -> None:
    """The send waits a moment and goes; it has not failed."""
    (scheduled,) = await faulty_schedule.schedule(notice("patient"))
    faulty.fail_at("lost_commits", 2)

    await faulty_schedule.send_due(SOON)
    assert (await faulty_schedule.row(scheduled)).state is ScheduledState.WAITING
    await faulty_schedule.send_due(SOON + RETRY_MS)

    assert await contents(faulty_schedule.core) == ["patient"]


async def test_one_that_cannot_be_stored_fails_alone(faulty_schedule: Schedule) -> None:
    """The others of its group are sent."""
    _, bad, _ = await faulty_schedule.schedule(notice("good"), notice(BAD), notice("other"))

    await faulty_schedule.send_due()

    assert await contents(faulty_schedule.core) == ["good", "other"]
    assert await failure(faulty_schedule, bad) == "unstorable"


# What has changed meanwhile


async def test_without_a_valid_key_it_fails(schedule: Schedule) -> None:
    """Revoked, expired, or without the scope that it needs; that can be seen, with the reason, for thirty days."""
    (revoked,) = await schedule.schedule(notice())
    await schedule.give_key(revoked_at=START_MS)
    await schedule.send_due()
    (expired,) = await schedule.schedule(notice(at=SOON + 1000))
    await schedule.give_key("k2", expires_at=SOON + 1000)
    await schedule.send_due(SOON + 1000)
    (unfit,) = await schedule.schedule(notice(at=SOON + 2000))
    await schedule.give_key("k3", scopes=frozenset({Scope.SEND_AS, Scope.ADMIN}))
    await schedule.give_key("k4", name="another")
    await schedule.send_due(SOON + 2000)

    assert [await failure(schedule, each) for each in (revoked, expired, unfit)] == ["forbidden"] * 3
    assert await contents(schedule.core) == []
    schedule.core.clock.now = SOON + KEPT_MS
    await retire(store=schedule.core.store, clock=schedule.core.clock, retention_ms=DAY_MS)
    assert [(await schedule.outcome(each)).row is None for each in (revoked, expired, unfit)] == [True, False, False]


async def test_another_key_of_the_backend_will_do(schedule: Schedule) -> None:
    """The backend is its name: a rotated key changes nothing."""
    await schedule.schedule(notice("rotated"))
    await schedule.give_key("k2")
    await schedule.give_key("k1", revoked_at=START_MS)

    await schedule.send_due()

    assert await contents(schedule.core) == ["rotated"]


async def test_a_key_for_other_channels_will_not_do(schedule: Schedule) -> None:
    """The channels of all keys with the scope count together."""
    (refused,) = await schedule.schedule(notice())
    await schedule.give_key(revoked_at=START_MS)
    await schedule.give_key("k3", channels=frozenset({"other"}))
    await schedule.send_due()
    (taken,) = await schedule.schedule(notice(at=SOON + 1000))
    await schedule.give_key("k2", channels=frozenset({"news"}))
    await schedule.send_due(SOON + 1000)

    assert await failure(schedule, refused) == "forbidden"
    assert (await schedule.outcome(taken)).state is ScheduledState.SENT


@pytest.mark.parametrize("change", ["deleted", "of another type", "with smaller contents"])
async def test_the_channels_rules_are_those_of_the_moment(schedule: Schedule, change: str) -> None:
    """A channel that was deleted meanwhile takes nothing; one with other rules what these allow."""
    (scheduled,) = await schedule.schedule(notice("x" * 100))
    if change == "deleted":
        schedule.channels.clear()
    elif change == "of another type":
        schedule.channels["news"] = NEWS.__class__(name="news", type=ChannelType.BROADCAST)
    else:
        schedule.channels["news"] = NEWS.__class__(name="news", type=ChannelType.NOTIFICATION, max_content_bytes=50)

    await schedule.send_due()

    expected = {"deleted": "unknown_channel", "of another type": "bad_request", "with smaller contents": "too_large"}
    assert await failure(schedule, scheduled) == expected[change]


async def test_a_block_counts_at_its_time(schedule: Schedule) -> None:
    """Refused when it is there now, and when it is there then."""
    (scheduled,) = await schedule.schedule(letter())
    async with schedule.core.store.begin() as transaction:
        await transaction.put_block(BOB, ALICE, START_MS)

    (now,) = await schedule.ask(letter(client_id="c1"))
    await schedule.send_due()

    assert code(now) == "forbidden"
    assert await failure(schedule, scheduled) == "forbidden"
    async with schedule.core.store.begin() as transaction:
        await transaction.delete_block(BOB, ALICE)
    assert await schedule.schedule(letter(at=SOON + 1000, client_id="c1")), "a refused one holds no key"


@pytest.mark.parametrize(
    "draft",
    [
        letter(to_conversation=talk(ALICE, CAROL)),
        letter(reply_to=MessageId("00000000-0000-7000-8000-000000000000")),
    ],
)
async def test_what_the_store_knows_is_asked_at_once(schedule: Schedule, draft: object) -> None:
    """A conversation that is not there and a message that is not in it are refused when they are named."""
    (answer,) = await schedule.ask(draft)  # type: ignore[arg-type]

    assert code(answer) == "not_found"


@pytest.mark.parametrize("is_leased", [False, True])
async def test_an_erased_recipient_gets_nothing(schedule: Schedule, is_leased: bool) -> None:
    """A send to him alone goes, one to several goes on without him, also when a worker had read it already."""
    alone, several, by_him = await schedule.schedule(
        notice("to bob"), notice("to all", to=[ALICE, BOB]), letter("to bob, too")
    )
    core = schedule.core
    core.clock.now = SOON
    leased = await core.store.run(
        lambda transaction: transaction.lease_scheduled(SOON, SOON + LEASE_MS, 10 if is_leased else 0)
    )
    keys = await core.store.api_keys()
    read = [command for row in leased for command in (await schedule.worker._compose(row, keys)).commands]

    await erase(schedule, BOB)
    assert [code(answer) for answer in await core.send(*read)] == ["conflict"] * len(read)
    await schedule.send_due(SOON)

    assert await contents(core, news_of(ALICE)) == ["to all"]
    assert await contents(core) == await contents(core, talk(ALICE, BOB)) == []
    states = [(await schedule.outcome(each)).state.value for each in (alone, several, by_him)]
    assert states == ["cancelled", "sent", "cancelled"]


# Taking it back


async def test_what_was_taken_back_is_not_sent(schedule: Schedule) -> None:
    """Its id stays its own: a request that was late, and comes now, does not bring it back."""
    (scheduled,) = await schedule.schedule(notice(client_id="c1"))

    await take_back(schedule, scheduled)

    assert await schedule.ask(notice(client_id="c1")) == [Scheduled(scheduled, duplicate=True)]
    assert (await schedule.outcome(scheduled)).state is ScheduledState.CANCELLED
    assert await schedule.send_due() == 0


async def test_only_its_owner_takes_it_back_and_only_once(schedule: Schedule) -> None:
    """To everybody else, and afterwards, it is not there."""
    (scheduled,) = await schedule.schedule(notice())

    with pytest.raises(Rejected, match="no such"):
        await take_back(schedule, scheduled, "b:press")
    await take_back(schedule, scheduled)
    with pytest.raises(Rejected, match="no such"):
        await take_back(schedule, scheduled)


async def test_what_was_sent_cannot_be_taken_back(schedule: Schedule) -> None:
    """`conflict`, for its owner; to others it was never there."""
    (scheduled,) = await schedule.schedule(notice())
    await schedule.send_due()

    for owner, expected in ((SHOP, "conflict"), ("b:press", "not_found")):
        with pytest.raises(Rejected) as refused:
            await take_back(schedule, scheduled, owner)
        assert refused.value.code == expected


async def test_it_is_sent_or_taken_back_and_never_both(schedule: Schedule) -> None:
    """A worker has it in its hands: whichever transaction comes first decides."""
    first, second = await schedule.schedule(notice("taken back"), notice("sent"))
    core = schedule.core
    core.clock.now = SOON
    leased = await core.store.run(lambda transaction: transaction.lease_scheduled(SOON, SOON + LEASE_MS, 2))
    keys = await core.store.api_keys()
    taken_back, sent = [(await schedule.worker._compose(row, keys)).commands for row in leased]

    await take_back(schedule, first)
    answers = await core.send(*taken_back, *sent)
    with pytest.raises(Rejected, match="sent already"):
        await take_back(schedule, second)

    assert [isinstance(answer, Stored) for answer in answers] == [False, True]
    assert await contents(core) == ["sent"]


async def test_a_failed_one_can_be_put_away(schedule: Schedule) -> None:
    """It leaves the list."""
    (scheduled,) = await schedule.schedule(notice())
    schedule.channels.clear()
    await schedule.send_due()

    await take_back(schedule, scheduled)

    assert (await schedule.outcome(scheduled)).row is None


async def test_a_draft_that_cannot_be_read_fails_alone(schedule: Schedule) -> None:
    """Whatever a later version has written: the loop goes on."""
    broken, _ = await schedule.schedule(notice("broken"), notice("good"))
    async with schedule.core.store.begin() as transaction:
        await transaction.replace_drafts([(broken, '{"to_user":5}')])

    await schedule.send_due()

    assert await failure(schedule, broken) == "internal"
    assert await contents(schedule.core) == ["good"]


# Many at once


class Watched:
    """A committer that notes how many sends it was given at once, and how many are with it."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.inside = 0
        self.most = 0
        self.live: list[int] = []  # for each live send, how many others were with the committer when it came

    async def send(self, commands: Sequence[SendMessage]) -> list[Stored | Rejected | Unavailable]:
        self.inside += len(commands)
        self.most = max(self.most, self.inside)
        try:
            return await self._core.committer.send(commands)
        finally:
            self.inside -= len(commands)


@pytest.mark.slow
async def test_ten_thousand_due_at_once_are_sent_once_each_beside_live_sends(url: str) -> None:
    """In bounded parts: a live send finds few others with the committer, and memory holds no more than a part."""
    async with open_core(url) as core:
        schedule, watched = Schedule(core), Watched(core)
        await schedule.give_key()
        users = [UserId(f"user-{number:04}") for number in range(1000)]
        for start in range(0, 10_000, 200):
            drafts = [notice(f"{n:05}", to_user=users[n % 1000]) for n in range(start, start + 200)]
            await schedule.schedule(*drafts)
        worker = ScheduledSender(
            store=core.store,
            sends=BulkSends(watched),
            channel=schedule.channel,
            clock=core.clock,
            metrics=core.metrics,
        )
        core.clock.now = SOON
        taken: list[int] = []

        async def write_meanwhile() -> None:
            while sum(taken) < 10_000:
                watched.live.append(watched.inside)
                await core.store_all(chat("live"))

        live = spawn(write_meanwhile(), "live")
        while count := await worker.send_due():
            taken.append(count)
        await live

        assert (sum(taken), max(taken)) == (10_000, LEASED)
        assert watched.most <= ROOM
        assert len(watched.live) > 50
        assert max(watched.live) <= ROOM
        texts = [text for user in users for text in await contents(core, news_of(user))]
        assert sorted(texts) == [f"{number:05}" for number in range(10_000)]
        assert await core.store.next_scheduled() is None


async def test_one_to_many_is_sent_in_parts(schedule: Schedule) -> None:
    """A thousand recipients, several such sends: each is settled when its messages are stored."""
    users = [UserId(f"user-{number:04}") for number in range(1000)]
    await schedule.schedule(notice("one", to=users), notice("two", to=users))

    assert await schedule.send_due() == 2

    assert await contents(schedule.core, news_of(users[-1])) == ["one", "two"]


# The loop


@pytest.fixture
async def driven() -> AsyncIterator[tuple[Schedule, DrivenClock]]:
    """A worker that loops on a clock which is moved by hand, over a database that takes next to no time."""
    clock = DrivenClock()
    async with open_core() as core:
        core.clock = clock  # type: ignore[assignment]  # nothing here reads more of it than its time
        schedule = Schedule(core)
        await schedule.give_key()

        async def loop() -> None:
            while True:
                await schedule.worker.run_round()

        task = spawn(loop(), "scheduled")
        yield schedule, clock
        await cancel_and_wait(task)


@pytest.mark.parametrize("milliseconds", [1, 400, 499, 500, 1300, 59_999])
async def test_the_loop_wakes_up_when_it_is_due(driven: tuple[Schedule, DrivenClock], milliseconds: int) -> None:
    """To the millisecond when it has seen it coming, and half a second late at the most."""
    schedule, clock = driven
    (scheduled,) = await schedule.schedule(notice(at=START_MS + milliseconds))

    await clock.advance((milliseconds - 1) / 1000)
    assert (await schedule.outcome(scheduled)).state is ScheduledState.WAITING
    for _ in range(200):
        if (await schedule.outcome(scheduled)).state is ScheduledState.SENT:
            break
        await clock.advance(0.005)

    ((message,),) = [(await schedule.outcome(scheduled)).messages]
    assert message.created_at - due_ms_of(scheduled) <= LOOK_SECONDS * 1000 + 5


async def test_what_cannot_be_sent_yet_does_not_keep_the_loop_busy(core: Core) -> None:
    """Due but leased by somebody: it looks again after its pause, not at once."""
    schedule = Schedule(core)
    await schedule.schedule(notice())
    core.clock.now = SOON
    await core.store.run(lambda transaction: transaction.lease_scheduled(SOON, SOON + LEASE_MS, 1))

    await schedule.worker.run_round()

    assert core.clock.slept == [LOOK_SECONDS]


async def test_everything_is_counted(schedule: Schedule) -> None:
    """What was accepted and what became of it; how many wait; how late they were."""
    back, *_ = await schedule.schedule(notice(), notice(client_id="c"), letter(), notice(at=SOON + DAY_MS))
    await schedule.ask(notice(client_id="c"))
    await take_back(schedule, back)
    await schedule.give_key("k2", scopes=frozenset({Scope.SEND}))
    await schedule.give_key(revoked_at=START_MS)
    await schedule.send_due(SOON + 250)
    await schedule.worker.count()

    told = schedule.core.metrics.render().decode()
    counted = {
        name: int(float(told.partition(f'aldis_scheduled_total{{outcome="{name}"}} ')[2].partition("\n")[0]))
        for name in ("accepted", "sent", "failed", "cancelled")
    }
    assert counted == {"accepted": 4, "sent": 1, "failed": 1, "cancelled": 1}
    assert "aldis_scheduled_waiting 1.0" in told
    assert "aldis_scheduled_lateness_seconds_sum 0.25" in told
