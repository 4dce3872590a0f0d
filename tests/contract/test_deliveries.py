"""What every store promises of deliveries (`aldis.ports.deliveries`, `aldis.ports.dead_letters`)."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from aldis.adapters.sql.store import open_sql_store
from aldis.domain.deliveries import Outcome, Reason, ReplayState
from aldis.domain.ids import MessageId, UserId, first_id_at
from aldis.domain.receipts import Receipt
from aldis.domain.status import Passage, Step
from aldis.domain.streams import Lane
from aldis.ports.dead_letters import DeadLetter, LetterFilter, Replay
from aldis.ports.deliveries import (
    Attempt,
    DueLane,
    LaneMove,
    LookedAt,
    Moved,
    NewRing,
    OpenEntry,
    OpenRing,
    Range,
    Rung,
    Stretch,
)
from aldis.ports.store import Move, State, Store
from contract.store_rows import ALICE, BOB, NEWS, NOW, PHONE, TALK, message, store_messages, store_states

LATER = NOW + 60_000
ALL = LetterFilter()


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with open_sql_store(database_url, now_ms=NOW) as store:
        yield store


def ring(low: int = 0, high: int = 1, *, user: UserId = BOB, lane: Lane = "s", due: int = NOW) -> NewRing:
    return NewRing(user, lane, "chat", low, high, due, NOW)


def letter(
    number: int, message_id: MessageId, *, seq: int = 1, channel: str = "chat", reason: Reason = Reason.EXPIRED
) -> DeadLetter:
    return DeadLetter(f"{number:04}", message_id, BOB, channel, reason, "s", seq, 3, NOW)


async def due_lanes(store: Store, now: int = NOW, limit: int = 9) -> list[DueLane]:
    async with store.begin() as transaction:
        return await transaction.claim_due_lanes(now, limit)


async def advance(store: Store, *moves: LaneMove) -> list[Moved]:
    async with store.begin() as transaction:
        return await transaction.advance_lanes(moves)


async def put_rings(store: Store, *rings: NewRing) -> list[OpenRing]:
    async with store.begin() as transaction:
        await transaction.put_rings(rings)
        return sorted(await transaction.rings_of(sorted({(each.user, each.lane) for each in rings})))


async def acknowledge(store: Store, low: int, high: int) -> None:
    async with store.begin() as transaction:
        await transaction.record_moves([Move(BOB, PHONE, "s", Step.ACKED, low, high, NOW)])


async def counts(store: Store) -> tuple[int, int]:
    """How many rings are open and how many messages have failed, as Bob's lane says."""
    async with store.begin() as transaction:
        moved = await transaction.advance_lanes([LaneMove(BOB, "s", 0, 0)])
        return (moved[0].rings, moved[0].failed) if moved else (0, 0)


# Lanes


async def test_a_due_lane_is_claimed_by_one(store: Store) -> None:
    """Two sweepers at once never get the same lane, and it is due no more until somebody says so."""
    await store_messages(store, message(1), due=NOW)
    await store_messages(store, message(1, conversation=NEWS, sender=None), conversation=NEWS, lane="e", due=NOW - 5)

    claimed = await asyncio.gather(*(due_lanes(store, limit=1) for _ in range(3)))

    assert sorted(claimed) == [[], [DueLane(BOB, "e", 0, 1, 0)], [DueLane(BOB, "s", 0, 1, 0)]]


async def test_a_lane_is_not_due_before_its_time(store: Store) -> None:
    """The earliest time counts; later messages do not put it off."""
    await store_messages(store, message(1), due=NOW + 5)
    await store_messages(store, message(2), due=NOW + 50)

    assert await due_lanes(store, NOW + 4) == []
    assert await due_lanes(store, NOW + 5) == [DueLane(BOB, "s", 0, 2, 0)]


async def test_a_lane_is_looked_at_from_where_the_last_look_ended(store: Store) -> None:
    """And is due again when that was said, or with the next message."""
    await store_messages(store, message(1), message(2), due=NOW)
    async with store.begin() as transaction:
        await transaction.claim_due_lanes(NOW, 9)
        await transaction.settle_lanes([LookedAt(BOB, "s", 1, NOW + 10)])

    assert await due_lanes(store, NOW + 9) == []
    assert await due_lanes(store, NOW + 10) == [DueLane(BOB, "s", 1, 2, 0)]
    await store_messages(store, message(3), due=NOW + 20)
    assert await due_lanes(store, NOW + 20) == [DueLane(BOB, "s", 1, 3, 0)]


async def test_a_lane_acknowledged_to_its_head_is_no_longer_due(store: Store) -> None:
    """A part keeps it due, for what lies above."""
    await store_messages(store, message(1), message(2), due=NOW)
    await advance(store, LaneMove(BOB, "s", 0, 1))
    assert await due_lanes(store) == [DueLane(BOB, "s", 1, 2, 0)]
    await store_messages(store, message(3), due=NOW)

    await advance(store, LaneMove(BOB, "s", 1, 3))

    assert await due_lanes(store, LATER) == []


async def test_an_acknowledgement_above_a_gap_leaves_the_lane_due(store: Store) -> None:
    """What lies in the gap was neither acknowledged nor looked at; once it was, the next one ends the wait."""
    await store_messages(store, message(1), message(2), message(3), due=NOW)
    await advance(store, LaneMove(BOB, "s", 2, 3))

    assert await due_lanes(store) == [DueLane(BOB, "s", 0, 3, 0)]
    async with store.begin() as transaction:
        await transaction.settle_lanes([LookedAt(BOB, "s", 3, None)])
    await store_messages(store, message(4), due=NOW)
    await advance(store, LaneMove(BOB, "s", 3, 4))
    assert await due_lanes(store, LATER) == []


async def test_moves_answer_what_is_open_in_their_lanes(store: Store) -> None:
    """Also those that are behind: so that an acknowledgement need not look for what is not there."""
    await store_messages(store, message(1), message(2))
    await put_rings(store, ring())
    await advance(store, LaneMove(BOB, "s", 0, 2))

    assert await advance(store, LaneMove(BOB, "s", 0, 1)) == [Moved(BOB, "s", 1, 0)]
    assert await advance(store) == []


async def test_locked_lanes_tell_their_floors(store: Store) -> None:
    """Lanes that never held anything are left out."""
    await store_messages(store, message(1), message(2))
    async with store.begin() as transaction:
        await transaction.trim(MessageId(first_id_at(NOW + 2)), 9)
        assert await transaction.lock_lanes([(BOB, "s"), (BOB, "s"), (BOB, "e")]) == {(BOB, "s"): 1}


# What is open


async def open_stretches(store: Store, high: int = 9) -> list[Stretch]:
    async with store.begin() as transaction:
        return sorted(await transaction.open_stretches([Range(BOB, "s", 0, high)]))


async def test_what_is_open_is_told_by_channel(store: Store) -> None:
    """From the first to the last of each, with the first message; one's own messages are never open."""
    talk = [message(1), message(2, sender=BOB), message(3)]
    await store_messages(store, talk[0])
    await store_messages(store, talk[1])
    await store_messages(store, news := message(1, conversation=NEWS, sender=None), conversation=NEWS)
    await store_messages(store, talk[2])

    assert await open_stretches(store) == [
        Stretch(BOB, "s", "chat", 0, 4, talk[0].id),
        Stretch(BOB, "s", "news", 2, 3, news.id),
    ]
    assert await open_stretches(store, 2) == [Stretch(BOB, "s", "chat", 0, 1, talk[0].id)]


async def test_what_was_acknowledged_read_or_has_failed_is_not_open(store: Store) -> None:
    """By any device, by the member, by a letter."""
    sent = [message(number) for number in range(1, 5)]
    await store_messages(store, *sent)
    await acknowledge(store, 1, 2)
    async with store.begin() as transaction:
        await transaction.put_letters([letter(1, sent[3].id, seq=4)])
        assert await transaction.open_entries([each.id for each in sent]) == [
            OpenEntry(BOB, "s", "chat", 1, sent[0].id, TALK.id, 0),
            OpenEntry(BOB, "s", "chat", 3, sent[2].id, TALK.id, 0),
        ]
        await transaction.advance_receipts([Receipt(conversation_id=TALK.id, user=BOB, read_seq=1)])
        assert [entry.seq for entry in await transaction.open_entries([each.id for each in sent])] == [3]
        assert await transaction.lanes_with([sent[0].id]) == [(BOB, "s")]


async def test_a_superseded_place_is_not_open(store: Store) -> None:
    """A newer place of the same message has taken it over."""
    sent = message(1)
    await store_messages(store, sent)
    async with store.begin() as transaction:
        await transaction.supersede_entries([(BOB, "s", 1)])
        assert await transaction.open_entries([sent.id]) == []


# Rings


async def test_rings_are_leased_by_lane_and_come_back(store: Store) -> None:
    """Those that are due, to one worker, until the lease ends."""
    await store_messages(store, message(1), message(2))
    await store_messages(store, message(3), lane="e")
    first, second = await put_rings(store, ring(0, 1), ring(1, 2, due=NOW + 5))
    (urgent,) = await put_rings(store, ring(lane="e"))

    async def lease(lane: Lane, now: int) -> list[OpenRing]:
        async with store.begin() as transaction:
            return sorted(await transaction.lease_rings(lane, now, now + 100, 9))

    leased = list(await asyncio.gather(lease("s", NOW), lease("s", NOW), lease("e", NOW)))
    assert leased == [[first], [], [urgent]]
    assert await lease("s", NOW + 5) == [second]
    assert await lease("s", NOW + 100) == [first]


async def test_an_attempt_is_stored_once(store: Store) -> None:
    """Where the stretch stands at the one before; a closed one stays closed."""
    await store_messages(store, message(1))
    (before,) = await put_rings(store, ring())
    rung = [Rung(before.id, 1, LATER), Rung(before.id + 7, 1, LATER)]

    async with store.begin() as transaction:
        assert await transaction.settle_rings(rung) == {before.id}
        assert await transaction.settle_rings(rung) == set()
        assert await transaction.rings_of([(BOB, "s")]) == [before._replace(attempt=1)]
        assert await transaction.lease_rings("s", LATER - 1, LATER, 9) == []


async def test_rings_are_counted_in_their_lanes(store: Store) -> None:
    """One that has gone on meanwhile is not closed by who knew it before."""
    await store_messages(store, message(1))
    rings = await put_rings(store, ring(0, 1), ring(1, 2), ring(2, 3))
    assert await counts(store) == (3, 0)

    async with store.begin() as transaction:
        await transaction.settle_rings([Rung(rings[1].id, 1, LATER)])
        await transaction.close_rings([rings[0], rings[1], rings[0]._replace(id=999)])

    assert await counts(store) == (2, 0)


async def test_rings_can_cover_more_and_less(store: Store) -> None:
    """More as messages come, less as they are dealt with."""
    await store_messages(store, message(1))
    (before,) = await put_rings(store, ring(0, 1))

    async with store.begin() as transaction:
        await transaction.extend_rings([(before.id, 5)])
        await transaction.shorten_rings([(before.id, 3)])
        assert await transaction.rings_of([(BOB, "s")]) == [before._replace(low=3, high=5)]


@pytest.mark.parametrize(
    ("low", "high", "left"),
    [
        (0, 2, [(2, 4), (4, 6)]),
        (0, 4, [(4, 6)]),
        (0, 6, []),
        (2, 4, [(0, 2), (4, 6)]),
        (0, 1, [(1, 2), (2, 4), (4, 6)]),
        (3, 5, [(0, 2), (2, 4), (5, 6)]),
    ],
)
async def test_acknowledged_rings_are_closed_and_shortened(
    store: Store, low: int, high: int, left: list[tuple[int, int]]
) -> None:
    """Closed where they lie within, shortened where they begin; what only ends within stays as it is."""
    await store_messages(store, message(1))
    await put_rings(store, ring(0, 2), ring(2, 4), ring(4, 6))

    async with store.begin() as transaction:
        await transaction.close_acknowledged([Range(BOB, "s", low, high)])
        assert sorted((each.low, each.high) for each in await transaction.rings_of([(BOB, "s")])) == left

    assert await counts(store) == (len(left), 0)


async def test_open_entries_of_rings_come_in_order_and_in_bounds(store: Store) -> None:
    """Of their own channel, and only where the stretch stands at the attempt that is known."""
    sent = [message(number) for number in range(1, 4)]
    await store_messages(store, *sent)
    await store_messages(store, message(1, conversation=NEWS, sender=None), conversation=NEWS)
    first, second = await put_rings(store, ring(0, 2), ring(2, 4))
    async with store.begin() as transaction:
        found = await transaction.open_in_rings([second, first], 9)
        cut = await transaction.open_in_rings([first, second], 2)
        stale = await transaction.open_in_rings([first._replace(attempt=1)], 9)

    assert [(identifier, entry.seq) for identifier, entry in found] == [
        (first.id, 1),
        (first.id, 2),
        (second.id, 3),
    ]
    assert (cut, stale) == (found[:2], [])


async def test_a_ring_is_open_as_long_as_something_in_it_is(store: Store) -> None:
    """Asked outside a transaction, before anybody is rung."""
    await store_messages(store, message(1), message(2))
    first, second = await put_rings(store, ring(0, 1), ring(1, 2))
    assert await store.still_open([first, second]) == {first.id, second.id}

    await acknowledge(store, 0, 1)

    assert await store.still_open([first, second, first._replace(id=999)]) == {second.id}
    assert await store.still_open([]) == set()


# Expiries


async def test_expiries_are_due_in_their_order(store: Store) -> None:
    """Each until it is deleted; noted twice it is one."""
    notes = [(NOW + 2, MessageId("b")), (NOW + 1, MessageId("a")), (NOW + 3, MessageId("c"))]
    async with store.begin() as transaction:
        await transaction.put_expiries([*notes, notes[0]])
        await transaction.put_expiries(notes[:1])
        assert await transaction.due_expiries(NOW + 2, 9) == [notes[1], notes[0]]
        assert await transaction.due_expiries(NOW + 2, 1) == [notes[1]]
        await transaction.delete_expiries([notes[1]])
        assert await transaction.due_expiries(NOW + 2, 9) == [notes[0]]


# Letters


async def test_there_is_one_letter_for_a_message_and_a_recipient(store: Store) -> None:
    """The first stays; the lane counts it once."""
    sent = message(1)
    await store_messages(store, sent)
    async with store.begin() as transaction:
        assert await transaction.put_letters([letter(1, sent.id)]) == {"0001"}
        assert await transaction.put_letters([letter(2, sent.id)]) == set()

    assert (await store.dead_letters(ALL, None, limit=9, window=9))[0] == [letter(1, sent.id)]
    assert await counts(store) == (0, 1)


async def test_letters_are_dropped_by_what_was_acknowledged_or_read(store: Store) -> None:
    """Within the range, of that user; each is answered, and counted no more."""
    sent = [message(number) for number in range(1, 5)]
    await store_messages(store, *sent)
    written = [letter(number, each.id, seq=number) for number, each in enumerate(sent, start=1)]
    async with store.begin() as transaction:
        await transaction.put_letters(written)
        assert await transaction.drop_acknowledged_letters([(BOB, "s", 0, 1), (ALICE, "s", 0, 9)]) == written[:1]
        assert await transaction.drop_read_letters([(TALK.id, BOB, 2, 3), (TALK.id, ALICE, 0, 9)]) == written[2:3]
        assert await transaction.drop_read_letters([(NEWS.id, BOB, 0, 9)]) == []

    assert await counts(store) == (0, 2)


async def test_a_purged_letter_says_that_a_message_has_failed(store: Store) -> None:
    """It is neither listed nor counted nor taken, and is dropped like the others."""
    first, second = message(1), message(2)
    await store_messages(store, first, second)
    async with store.begin() as transaction:
        await transaction.put_letters([letter(1, first.id), letter(2, second.id, seq=2)])
        assert await transaction.purge_letters(["0001", "none"], NOW) == 1
        assert await transaction.purge_letters(["0001"], NOW) == 0
        assert await transaction.letter("0001") is None
        assert await transaction.letter("0002") == letter(2, second.id, seq=2)
        assert await transaction.take_letters(["0001"]) == []
        assert await transaction.open_entries([first.id]) == []
    assert await store.count_letters(ALL, 9) == 1
    assert (await store.passages(first, [BOB]))[BOB][1] == [Passage(Step.FAILED, None, NOW, "expired")]
    assert await counts(store) == (0, 2)

    async with store.begin() as transaction:
        assert await transaction.purged_lanes(NOW, 9) == []
        assert await transaction.purged_lanes(NOW + 1, 9) == [(BOB, "s")]
        assert await transaction.drop_purged_letters(NOW, 9) == 0
        assert await transaction.drop_purged_letters(NOW + 1, 9) == 1
    assert await counts(store) == (0, 1)


async def test_taken_letters_are_gone(store: Store) -> None:
    """Whoever takes them second gets none."""
    sent = message(1)
    await store_messages(store, sent)
    async with store.begin() as transaction:
        await transaction.put_letters([letter(1, sent.id)])
        assert await transaction.take_letters(["0001"]) == [letter(1, sent.id)]
        assert await transaction.take_letters(["0001"]) == []
        assert [entry.seq for entry in await transaction.open_entries([sent.id])] == [1]

    assert await counts(store) == (0, 0)


async def test_letters_come_in_both_orders_and_in_bounds(store: Store) -> None:
    """By filter, from a place on; a window that holds no hit says how far it has looked."""
    reasons = [Reason.EXPIRED, Reason.ATTEMPTS_EXHAUSTED]
    written = [
        letter(n, MessageId(f"m{n}"), seq=n, channel=f"c{n % 2}", reason=reasons[n % 3 == 0]) for n in range(1, 10)
    ]
    async with store.begin() as transaction:
        await transaction.put_letters(written)
        ascending = await transaction.letters_after(ALL, "0002", "0005", limit=2, window=9)
        rest = await transaction.letters_after(ALL, "0004", "0005", limit=2, window=9)
        sparse = LetterFilter(channel="c0", reason=Reason.ATTEMPTS_EXHAUSTED)
        looked = await transaction.letters_after(sparse, "", "9999", limit=9, window=2)
        assert await transaction.newest_letter() == "0009"

    assert ([each.id for each in ascending[0]], ascending[1]) == (["0003", "0004"], "0004")
    assert ([each.id for each in rest[0]], rest[1]) == (["0005"], None)
    assert (looked[0], looked[1]) == ([], "0004")
    newest = await store.dead_letters(ALL, "0008", limit=3, window=9)
    assert ([each.id for each in newest[0]], newest[1]) == (["0007", "0006", "0005"], "0005")
    assert [each.id for each in (await store.dead_letters(sparse, None, limit=9, window=9))[0]] == ["0006"]
    assert [await store.count_letters(each, 9) for each in (ALL, sparse, LetterFilter(recipient=ALICE))] == [9, 1, 0]
    assert await store.count_letters(ALL, 4) == 4


async def test_the_newest_of_no_letters_is_before_all(store: Store) -> None:
    """So that a replay of none ends at once."""
    async with store.begin() as transaction:
        assert await transaction.newest_letter() == ""
        assert await transaction.letters_after(ALL, "", "", limit=9, window=9) == ([], None)


# Records


async def test_attempts_are_told_of_the_messages_in_their_stretch(store: Store) -> None:
    """Rings by themselves; failures and new beginnings among what passed the message."""
    first, second = message(1), message(2)
    await store_messages(store, first, second)
    rung = Attempt(BOB, "s", "chat", 0, 2, 1, None, Outcome.RUNG, NOW + 1)
    failed = Attempt(BOB, "s", "chat", 0, 1, 1, None, Outcome.ATTEMPTS_EXHAUSTED, NOW + 2)
    begun = Attempt(BOB, "s", "chat", 0, 1, 0, None, Outcome.REPLAYED, NOW + 3)
    others = [rung._replace(channel="news"), rung._replace(lane="e"), rung._replace(low=2, high=3)]
    async with store.begin() as transaction:
        await transaction.put_attempts([rung, failed, begun, *others])

    assert await store.attempts(first, [BOB, ALICE]) == {BOB: [rung], ALICE: []}
    assert await store.attempts(second, [BOB]) == {BOB: [rung]}
    assert (await store.passages(first, [BOB]))[BOB][1] == [
        Passage(Step.FAILED, None, NOW + 2, "attempts_exhausted"),
        Passage(Step.REPLAYED, None, NOW + 3),
    ]
    assert (await store.passages(second, [BOB]))[BOB][1] == []


async def test_renewals_are_found_by_the_place_that_they_made(store: Store) -> None:
    """The last of them; being rung for again is none."""
    renewed = Attempt(BOB, "s", "chat", 1, 2, 0, None, Outcome.RENEWED, NOW + 1)
    again = [renewed._replace(at=NOW + 5), renewed._replace(at=NOW + 9, outcome=Outcome.REPLAYED)]
    async with store.begin() as transaction:
        await transaction.put_attempts([renewed, *again])
        assert await transaction.renewals([(BOB, "s", 2), (BOB, "s", 1)]) == {(BOB, "s", 2): NOW + 5}


async def test_a_message_can_have_another_end(store: Store) -> None:
    """Nothing else of it changes."""
    sent = message(1, expires_at=NOW + 5)
    await store_messages(store, sent)
    async with store.begin() as transaction:
        await transaction.renew_messages([(sent.id, NOW + 50)])
        assert (await transaction.messages([sent.id]))[sent.id].expires_at == NOW + 50


async def test_records_age_by_kind(store: Store) -> None:
    """Each by its own time, some at a time; what senders were told goes with the message."""
    old, new = message(1, at=NOW), message(2, at=LATER)
    record = Attempt(BOB, "s", "chat", 0, 1, 1, None, Outcome.RUNG, NOW)
    told = [State(ALICE, f"status:{each.id}:bob", "status", b"{}") for each in (old, new)]
    await store_states(store, *told, State(ALICE, "badge", "badge", b"{}"))
    running = Replay(first_id_at(NOW), ALL, ReplayState.RUNNING, "", "", 0, 0, 0, NOW, NOW)
    async with store.begin() as transaction:
        await transaction.put_attempts([record, record, record._replace(at=LATER)])
        await transaction.put_expiries([(LATER * 2, old.id), (LATER * 2, new.id)])
        await transaction.put_replay(running)
        await transaction.put_replay(running._replace(id=first_id_at(NOW + 1), state=ReplayState.DONE))
        before = MessageId(first_id_at(LATER))
        dropped = [await transaction.retire_records(before, LATER, 1) for _ in range(3)]
        assert await transaction.due_expiries(LATER * 2, 9) == [(LATER * 2, new.id)]
        assert await transaction.next_replay() == running

    assert dropped in ([4, 1, 0], [3, 0, 0])  # attempts may go with their whole table
    assert await store.replay(first_id_at(NOW + 1)) is None


# Replays


async def test_a_replay_is_kept_as_it_goes(store: Store) -> None:
    """The oldest that is running is the next; what it was asked for never changes."""
    first = Replay("r1", LetterFilter("chat", Reason.EXPIRED, BOB), ReplayState.RUNNING, "", "z", 9, 0, 0, NOW, NOW)
    second = Replay("r2", ALL, ReplayState.RUNNING, "", "z", 5, 0, 0, NOW, NOW)
    async with store.begin() as transaction:
        await transaction.put_replay(second)
        await transaction.put_replay(first)
        assert await transaction.next_replay() == first
        further = first._replace(after="k", replayed=3, skipped=1, updated_at=LATER)
        await transaction.put_replay(further._replace(wanted=ALL))
        assert await transaction.next_replay() == further
        await transaction.put_replay(further._replace(state=ReplayState.DONE))
        assert await transaction.next_replay() == second

    assert await store.replay("r1") == further._replace(state=ReplayState.DONE)
    assert await store.replay("none") is None


async def test_empty_lists_are_fine(store: Store) -> None:
    """Bulk calls take any number of rows, none included."""
    async with store.begin() as transaction:
        assert await transaction.lock_lanes([]) == {}
        assert await transaction.open_stretches([]) == []
        assert await transaction.rings_of([]) == []
        await transaction.put_rings([])
        await transaction.extend_rings([])
        await transaction.shorten_rings([])
        await transaction.settle_lanes([])
        assert await transaction.settle_rings([]) == set()
        await transaction.close_rings([])
        await transaction.close_acknowledged([])
        assert await transaction.open_in_rings([], 9) == []
        await transaction.put_attempts([])
        await transaction.put_expiries([])
        await transaction.delete_expiries([])
        assert await transaction.lanes_with([]) == []
        assert await transaction.open_entries([]) == []
        assert await transaction.put_letters([]) == set()
        assert await transaction.drop_acknowledged_letters([]) == []
        assert await transaction.drop_read_letters([]) == []
        assert await transaction.take_letters([]) == []
        assert await transaction.purge_letters([], NOW) == 0
        await transaction.renew_messages([])
        assert await transaction.renewals([]) == {}
        await transaction.supersede_entries([])
