"""What every store promises (`aldis.ports.store`)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from aldis.adapters.sql.store import open_sql_store
from aldis.domain.callers import ApiKey, Scope
from aldis.domain.channels import Channel, ChannelType
from aldis.domain.ids import ConversationId, DeviceId, MessageId, UserId, first_id_at
from aldis.domain.messages import Kind, Message
from aldis.domain.receipts import ReadMark, Receipt
from aldis.domain.status import Passage, Step
from aldis.domain.streams import LaneHead
from aldis.ports.announcements import LanePassage, Passed, ReadPassage
from aldis.ports.broadcasts import Listener
from aldis.ports.deliveries import Range
from aldis.ports.store import (
    Conversation,
    Growth,
    Heard,
    KeyHolder,
    Move,
    State,
    Store,
    Transaction,
    Unstorable,
    Want,
)
from contract.store_rows import (
    ALICE,
    BOB,
    NEWS,
    NOW,
    PHONE,
    TALK,
    claim,
    device,
    message,
    places,
    put_message,
    store_messages,
    store_states,
)

LATER = NOW + 60_000


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with open_sql_store(database_url, now_ms=NOW) as store:
        yield store


# Keys


async def test_free_keys_are_taken_and_held_ones_answered(store: Store) -> None:
    """A claim answers exactly the keys that another message holds already."""
    async with store.begin() as transaction:
        assert await transaction.claim_keys([claim("a", "m1"), claim("b", "m1")]) == {}
    async with store.begin() as transaction:
        held = await transaction.claim_keys([claim("b", "m2"), claim("c", "m2"), claim("b", "m2", scope="u:bob")])

    assert held == {("u:alice", "b"): KeyHolder(MessageId("m1"), "print")}


async def test_a_released_key_is_free_again(store: Store) -> None:
    """What a transaction gives back can be taken by the next."""
    async with store.begin() as transaction:
        await transaction.claim_keys([claim("a"), claim("b")])
        await transaction.release_keys([("u:alice", "a")])
    async with store.begin() as transaction:
        held = await transaction.claim_keys([claim("a", "m2"), claim("b", "m2")])

    assert set(held) == {("u:alice", "b")}


async def test_expired_keys_are_forgotten_some_at_a_time(store: Store) -> None:
    """`delete_keys` takes what has expired, the oldest first, at most the limit, and leaves the rest."""
    async with store.begin() as transaction:
        await transaction.claim_keys([claim(str(n), expires_at=NOW + n) for n in range(5)])
        counts = [await transaction.delete_keys(NOW + 2, 2) for _ in range(3)]
        held = await transaction.claim_keys([claim(str(n)) for n in range(5)])

    assert counts == [2, 1, 0]
    assert {key for _, key in held} == {"3", "4"}


async def test_many_keys_can_be_claimed_at_once(store: Store) -> None:
    """A whole group's keys go in one call, held and free mixed."""
    async with store.begin() as transaction:
        await transaction.claim_keys([claim(str(n), "m1") for n in range(0, 4000, 2)])
        held = await transaction.claim_keys([claim(str(n), "m2") for n in range(4000)])

    assert {key for _, key in held} == {str(n) for n in range(0, 4000, 2)}


# Transactions


async def test_positions_are_gapless_in_commit_order(store: Store) -> None:
    """Many writers, some of whom fail: whoever reads meanwhile sees 1, 2, 3 … up to some point, never a hole."""
    writers = asyncio.gather(*(_write(store, number) for number in range(60)))
    pages = []
    while not writers.done():
        pages.append(places((await store.entries([Want(BOB, "s", 0, 500)]))[0]))

    stored = sum(await writers)

    assert stored == sum(number % 4 + 1 for number in range(60) if number % 5)
    assert all(page == list(range(1, len(page) + 1)) for page in pages)
    assert [len(page) for page in pages] == sorted(len(page) for page in pages)
    assert (await store.heads([BOB]))[BOB, "s"] == LaneHead(stored, 0)


async def _write(store: Store, number: int) -> int:
    """Store a few messages in a conversation of the writer's own with Bob; every fifth gives up at the end."""
    conversation = Conversation(ConversationId(f"c{number}"), Kind.CHAT, "chat", (UserId(f"u{number}"), BOB))
    rows = [message(seq, sender=UserId(f"u{number}"), conversation=conversation) for seq in range(1, number % 4 + 2)]
    try:
        async with store.begin() as transaction:
            await put_message(transaction, *rows, conversation=conversation)
            if number % 5 == 0:
                raise _GivenUp
    except _GivenUp:
        return 0
    return len(rows)


class _GivenUp(Exception):
    pass


async def test_seqs_of_a_conversation_are_gapless(store: Store) -> None:
    """Concurrent growths of one conversation are given seqs that follow each other."""

    async def grow(count: int) -> range:
        async with store.begin() as transaction:
            heads = await transaction.extend_conversations([Growth(TALK, count, MessageId("m"))])
        return range(heads[TALK.id] - count + 1, heads[TALK.id] + 1)

    given = await asyncio.gather(*(grow(n % 3 + 1) for n in range(30)))

    assert sorted(seq for seqs in given for seq in seqs) == list(range(1, 61))


async def test_a_transaction_that_raises_leaves_nothing(store: Store) -> None:
    """After an error no message, position, state, key, device or conversation of the transaction is there."""
    hello = message()
    with pytest.raises(_GivenUp):
        async with store.begin() as transaction:
            await transaction.claim_keys([claim("a")])
            await put_message(transaction, hello, due=NOW)
            await transaction.put_devices([device()], NOW)
            await transaction.put_outbox("topic", b"x", NOW)
            raise _GivenUp

    assert await store.message(hello.id) is None
    assert await store.conversation(TALK.id) is None
    assert await store.heads([ALICE, BOB]) == {}
    assert await store.device(BOB, PHONE) is None
    async with store.begin() as transaction:
        assert await transaction.claim_keys([claim("a")]) == {}
        assert await transaction.lease_outbox(NOW, LATER, 10) == []
        assert await transaction.claim_due_lanes(NOW, 10) == []


async def test_a_recipe_is_one_transaction(store: Store) -> None:
    """`run` answers what its recipe answers, after the commit; a recipe that raises leaves nothing."""

    async def write(transaction: Transaction) -> list[int]:
        return await put_message(transaction, message())

    async def give_up(transaction: Transaction) -> None:
        await put_message(transaction, message(2))
        raise _GivenUp

    assert await store.run(write) == [1, 1]
    with pytest.raises(_GivenUp):
        await store.run(give_up)
    assert (await store.heads([BOB]))[BOB, "s"].seq == 1


async def test_recipes_and_open_transactions_take_turns(store: Store) -> None:
    """Both ways to write may be used at once, and reads beside them; positions stay gapless."""
    conversations = [Conversation(ConversationId(f"c{n}"), Kind.CHAT, "chat", (ALICE, BOB)) for n in range(10)]
    heads = await asyncio.gather(
        *(store_messages(store, message(conversation=c), conversation=c) for c in conversations),
        *(store.run(lambda transaction: transaction.extend_sources({(BOB, "s"): 1}, {})) for _ in range(10)),
        *(store.entries([Want(BOB, "s", 0, 99)]) for _ in range(10)),
    )

    assert len(heads) == 30
    assert (await store.heads([BOB]))[BOB, "s"].seq == 20


async def test_a_cancelled_transaction_leaves_nothing(store: Store) -> None:
    """A writer that is cancelled in the middle holds nobody up, and none of its rows is there."""
    inside, never = asyncio.Event(), asyncio.Event()

    async def write() -> None:
        async with store.begin() as transaction:
            await put_message(transaction, message())
            inside.set()
            await never.wait()

    async with asyncio.TaskGroup() as tasks:
        writer = tasks.create_task(write())
        await inside.wait()
        writer.cancel()

    assert await store.heads([BOB]) == {}
    assert await store_messages(store, message()) == [1, 1]


async def test_what_was_committed_is_read_at_once(store: Store) -> None:
    """A read after a commit sees it, whichever connection it uses."""
    for seq in range(1, 21):
        await store_messages(store, message(seq))

        assert (await store.heads([BOB]))[BOB, "s"].seq == seq


async def test_a_text_the_database_cannot_hold_is_unstorable(store: Store) -> None:
    """Half a character is the row's fault; nothing of its transaction is kept."""
    with pytest.raises(Unstorable):
        await store_messages(store, message(1), replace(message(2), client_id="\ud800"))

    assert await store.heads([BOB]) == {}
    assert await store_messages(store, message()) == [1, 1]


async def test_a_second_message_with_an_id_is_unstorable(store: Store) -> None:
    """Ids are unique; the first message stays as it was."""
    first = message(1, text="first")
    await store_messages(store, first)

    with pytest.raises(Unstorable):
        await store_messages(store, replace(message(2, text="second"), id=first.id))

    assert await store.message(first.id) == (first, TALK)


# Messages and conversations


async def test_a_message_is_read_as_it_was_stored(store: Store) -> None:
    """All its fields come back, in transactions and outside, and its conversation with the members."""
    full = replace(
        message(1, text="ü\\u0000\n"),
        client_id="c 1",
        reply_to=MessageId("r"),
        thread_id=MessageId("t"),
        expires_at=LATER,
    )
    await store_messages(store, full)

    assert await store.message(full.id) == (full, TALK)
    async with store.begin() as transaction:
        assert await transaction.messages([full.id, MessageId("none")]) == {full.id: full}
        assert await transaction.conversations([TALK.id, NEWS.id]) == {TALK.id: TALK}


async def test_history_goes_both_ways(store: Store) -> None:
    """Descending below `before` or from the head, ascending above `after`, never more than the limit."""
    await store_messages(store, *(message(seq) for seq in range(1, 8)))

    async def seqs(**place: int | None) -> list[int]:
        bounds = {"before": None, "after": None} | place
        page = await store.history(TALK.id, before=bounds["before"], after=bounds["after"], limit=3)
        return [each.seq for each in page]

    assert await seqs() == [7, 6, 5]
    assert await seqs(before=5) == [4, 3, 2]
    assert await seqs(before=1) == []
    assert await seqs(after=0) == [1, 2, 3]
    assert await seqs(after=6) == [7]


async def test_conversations_are_listed_by_their_newest_message(store: Store) -> None:
    """Pages of a user's conversations join to one list, newest first, each once, and can be of one kind."""
    made = [
        Conversation(ConversationId(f"c{n}"), [Kind.CHAT, Kind.NOTIFICATION][n % 2], "x", (BOB, UserId(f"u{n}")))
        for n in range(7)
    ]
    for n, conversation in enumerate(made):
        await store_messages(store, message(conversation=conversation, at=NOW + n), conversation=conversation)
    again = message(2, conversation=made[2], at=NOW + 100)
    await store_messages(store, again, conversation=made[2])

    listed = await _list(store, None)

    assert listed == ["c2", "c6", "c5", "c4", "c3", "c1", "c0"]
    assert await _list(store, Kind.NOTIFICATION) == ["c5", "c3", "c1"]
    [row] = await store.conversations_of(BOB, None, None, 1)
    assert (row.last, row.mark.head_seq, row.conversation) == (again, 2, made[2])


async def _list(store: Store, kind: Kind | None) -> list[str]:
    found: list[str] = []
    before: tuple[str, str] | None = None
    while page := await store.conversations_of(BOB, kind, before, 2):
        found += [row.conversation.id for row in page]
        last = page[-1]
        before = (last.last.id if last.last is not None else "", last.conversation.id)
    return found


# Pages of sources


async def test_pages_of_entries_are_in_order_and_limited(store: Store) -> None:
    """Each want gets its own page, also many of one user at once; nothing at the head is an empty page."""
    await store_messages(store, *(message(seq) for seq in range(1, 251)))
    wants = [Want(BOB, "s", 0, 200), Want(BOB, "s", 200, 200), Want(BOB, "e", 0, 200), Want(ALICE, "s", 248, 5)]

    pages = await store.entries([*wants, Want(BOB, "s", 250, 200), Want(UserId("nobody"), "s", 0, 200)])

    assert [places(page) for page in pages] == [list(range(1, 201)), list(range(201, 251)), [], [249, 250], [], []]
    assert [entry.message.seq for entry in pages[1]] == list(range(201, 251))


async def test_pages_of_states_hold_the_newest_of_each_key(store: Store) -> None:
    """A key that is set again moves to its new version, so `r` has jumps; pages count rows, not versions."""
    values = [State(BOB, key, "t", value) for key, value in zip("abcab", (b"1", b"2", b"3", b"4", b"5"), strict=True)]
    await store_states(store, *values, State(ALICE, "a", "t", b"9"))

    [all_of_it, rest, limited] = await store.states([Want(BOB, "r", 0, 9), Want(BOB, "r", 4, 9), Want(BOB, "r", 0, 2)])

    assert [(state.pos, state.value) for state in all_of_it] == [(3, b"3"), (4, b"4"), (5, b"5")]
    assert [state.pos for state in rest] == [5]
    assert [state.pos for state in limited] == [3, 4]
    assert (await store.heads([BOB]))[BOB, "r"].seq == 5


# Leases


async def test_outbox_rows_are_leased_until_they_are_deleted(store: Store) -> None:
    """Oldest first, to one at a time, again after the lease, gone once deleted."""
    async with store.begin() as transaction:
        for n in range(3):
            await transaction.put_outbox("topic", b"%d" % n, NOW)

    async def lease(now: int) -> list[bytes]:
        async with store.begin() as transaction:
            rows = await transaction.lease_outbox(now, now + 1000, 2)
            await transaction.delete_outbox([row.id for row in rows if row.payload == b"0"])
        return [row.payload for row in rows]

    assert sorted(await asyncio.gather(*(lease(NOW) for _ in range(3)))) == [[], [b"0", b"1"], [b"2"]]
    assert await lease(NOW + 999) == []
    assert await lease(NOW + 1000) == [b"1", b"2"]


# Retention


async def test_trimming_drops_old_entries_and_raises_floors(store: Store) -> None:
    """What is older leaves the lanes of all its members; the rest keeps its positions."""
    await store_messages(store, *(message(seq) for seq in range(1, 6)))
    async with store.begin() as transaction:
        assert await transaction.trim(MessageId(first_id_at(NOW + 4)), 100) == 6
        assert await transaction.trim(MessageId(first_id_at(NOW + 4)), 100) == 0

    heads = await store.heads([ALICE, BOB])
    assert heads == {(ALICE, "s"): LaneHead(5, 3), (BOB, "s"): LaneHead(5, 3)}
    assert [places(page) for page in await store.entries([Want(BOB, "s", 3, 9)])] == [[4, 5]]


async def test_trimming_goes_on_where_its_limit_stopped_it(store: Store) -> None:
    """Some at a time until nothing is left to drop; what is kept has no hole at any time."""
    await store_messages(store, *(message(seq) for seq in range(1, 31)))
    dropped = []
    async with store.begin() as transaction:
        while count := await transaction.trim(MessageId(first_id_at(NOW + 21)), 7):
            dropped.append(count)

    assert sum(dropped) == 40
    assert max(dropped) <= 7
    assert places((await store.entries([Want(BOB, "s", 20, 99)]))[0]) == list(range(21, 31))


async def test_trimming_drops_only_from_the_low_end(store: Store) -> None:
    """An old message behind a newer one stays: dropping it would take the newer one along or leave a hole."""
    ages = [1, 2, 50, 3, 60]
    await store_messages(store, *(message(seq, at=NOW + age) for seq, age in enumerate(ages, start=1)))
    async with store.begin() as transaction:
        assert await transaction.trim(MessageId(first_id_at(NOW + 10)), 100) == 4

    assert (await store.heads([BOB]))[BOB, "s"] == LaneHead(5, 2)
    assert places((await store.entries([Want(BOB, "s", 2, 9)]))[0]) == [3, 4, 5]


async def test_an_old_message_that_must_stay_does_not_stop_the_trimming(store: Store) -> None:
    """Entries that cannot be dropped yet take no place in the limit."""
    await store_messages(store, *(message(seq, at=NOW + age) for seq, age in enumerate([50, 1, 2], start=1)))
    await store_messages(
        store,
        *(message(seq, conversation=NEWS, sender=None, at=NOW + 3) for seq in (1, 2)),
        conversation=NEWS,
        lane="e",
    )
    async with store.begin() as transaction:
        assert await transaction.trim(MessageId(first_id_at(NOW + 10)), 2) == 2

    assert (await store.heads([BOB]))[BOB, "e"].floor == 2


# What moves have passed


def passed(of: Message, step: Step, user: UserId = BOB) -> Passed:
    return Passed(step, user, NOW, of.id, of.conversation_id, of.seq, of.kind, of.channel, of.sender)


async def test_moves_in_lanes_have_passed_others_messages(store: Store) -> None:
    """Those between the ends, in the order of the moves and then of positions; one's own are left out."""
    first, own, third = message(1), message(2, sender=BOB), message(3)
    await store_messages(store, first, own, third)
    news = message(1, conversation=NEWS, sender=None)
    await store_messages(store, news, conversation=NEWS)

    found = await store.passed_in_lanes(
        [
            LanePassage(Step.ACKED, BOB, "s", 2, 4, NOW),
            LanePassage(Step.SENT, BOB, "s", 0, 2, NOW),
            LanePassage(Step.SENT, BOB, "e", 0, 9, NOW),
            LanePassage(Step.SENT, ALICE, "s", 0, 9, NOW),
        ]
    )

    assert found == [
        passed(third, Step.ACKED), passed(news, Step.ACKED), passed(first, Step.SENT), passed(own, Step.SENT, ALICE)
    ]  # fmt: skip


async def test_read_marks_have_passed_others_messages(store: Store) -> None:
    """Those between the ends, whatever their lane; nothing is told of broadcasts, nor of a stranger."""
    messages = [message(1), message(2, sender=BOB), message(3)]
    await store_messages(store, *messages)
    everyone = Conversation(ConversationId("all"), Kind.NOTIFICATION, "all", (), broadcast=True)
    async with store.begin() as transaction:
        await transaction.open_conversation(everyone.id, everyone.channel)
        await transaction.put_listeners([Listener(everyone.id, BOB, 0, 0)])
        await transaction.extend_conversations([Growth(everyone, 1, MessageId("m"))])
        await transaction.insert_messages([message(1, conversation=everyone, sender=None, at=NOW + 9)])

    found = await store.passed_by_reading(
        [
            ReadPassage(BOB, TALK.id, 0, 3, NOW),
            ReadPassage(BOB, TALK.id, 3, 9, NOW),
            ReadPassage(BOB, everyone.id, 0, 1, NOW),
            ReadPassage(UserId("carol"), TALK.id, 0, 3, NOW),
        ]
    )

    assert found == [passed(messages[0], Step.READ), passed(messages[2], Step.READ)]


# Devices, receipts, marks


async def test_devices_are_kept_with_their_positions(store: Store) -> None:
    """A device is stored whole, replaced whole, and counted by user."""
    async with store.begin() as transaction:
        await transaction.put_devices([device("a"), device("b"), device("a", user=ALICE)], NOW)
        await transaction.put_devices([device("a", acked=7)], NOW + 1)
        assert await transaction.devices([(BOB, DeviceId("a")), (BOB, PHONE)]) == {(BOB, "a"): device("a", acked=7)}
        assert await transaction.device_counts([ALICE, BOB, UserId("carol")]) == {ALICE: 1, BOB: 2}

    assert await store.device(BOB, DeviceId("b")) == device("b")


async def test_what_was_heard_leaves_out_ones_own(store: Store) -> None:
    """Per range and conversation the highest seq among others' messages."""
    await store_messages(store, message(1), message(2, sender=BOB), message(3), message(4, sender=BOB))
    await store_messages(store, message(1, conversation=NEWS, sender=None), conversation=NEWS)

    async with store.begin() as transaction:
        heard = await transaction.heard([Range(BOB, "s", 0, 5), Range(ALICE, "s", 2, 3), Range(ALICE, "s", 0, 2)])
        nothing = await transaction.heard([Range(BOB, "s", 3, 4), Range(BOB, "e", 0, 9)])

    assert sorted(heard) == [Heard(ALICE, "s", TALK.id, 2), Heard(BOB, "s", NEWS.id, 1), Heard(BOB, "s", TALK.id, 3)]
    assert nothing == []


async def test_receipts_only_grow(store: Store) -> None:
    """Merging answers what changed, as it is afterwards; who is no member has no receipt."""
    await store_messages(store, *(message(seq) for seq in range(1, 6)))

    def receipt(express: int, standard: int, read: int, user: UserId = BOB) -> Receipt:
        return Receipt(conversation_id=TALK.id, user=user, express=express, standard=standard, read_seq=read)

    async with store.begin() as transaction:
        assert await transaction.advance_receipts([receipt(0, 3, 0)]) == [receipt(0, 3, 0)]
        assert await transaction.advance_receipts([receipt(1, 2, 1)]) == [receipt(1, 3, 1)]
        assert await transaction.advance_receipts([receipt(1, 1, 0), receipt(1, 1, 1, UserId("carol"))]) == []


async def test_marks_and_badges_count_what_others_wrote(store: Store) -> None:
    """Unread is what lies above the read mark without one's own; the badge is the sum over conversations."""
    await store_messages(store, message(1), message(2, sender=BOB), message(3))
    await store_messages(store, message(1, conversation=NEWS, sender=None), conversation=NEWS)

    async with store.begin() as transaction:
        marks = await transaction.read_marks([(TALK.id, BOB), (TALK.id, ALICE), (TALK.id, UserId("carol"))])
        own = [await transaction.count_own_between(TALK.id, BOB, low, 3) for low in (0, 1, 2)]
        await transaction.put_own_read(TALK.id, BOB, 1)
        await transaction.advance_receipts([Receipt(conversation_id=TALK.id, user=BOB, read_seq=2)])

    assert marks[TALK.id, BOB] == ReadMark(head_seq=3, read_seq=0, own_total=1, own_read=0)
    assert {user: mark.unread for (_, user), mark in marks.items()} == {ALICE: 1, BOB: 2}
    assert own == [1, 1, 0]
    assert [await store.badge(BOB), await store.badge(ALICE)] == [2, 1]


async def test_passages_tell_what_passed_a_message(store: Store) -> None:
    """Moves over its position in the lane and its seq in the conversation count; others do not."""
    first, second = message(1), message(2)
    await store_messages(store, first, second)
    async with store.begin() as transaction:
        await transaction.record_moves(
            [
                Move(BOB, PHONE, "s", Step.SENT, 0, 2, NOW + 1),
                Move(BOB, PHONE, "s", Step.ACKED, 0, 1, NOW + 2),
                Move(BOB, PHONE, "e", Step.ACKED, 0, 9, NOW + 3),
                Move(BOB, None, TALK.id, Step.READ, 1, 2, NOW + 4),
                Move(ALICE, PHONE, "s", Step.ACKED, 1, 2, NOW + 5),
            ]
        )
    sent, acked, read = (
        Passage(Step.SENT, PHONE, NOW + 1),
        Passage(Step.ACKED, PHONE, NOW + 2),
        Passage(Step.READ, None, NOW + 4),
    )

    assert await store.passages(first, [BOB, UserId("carol")]) == {BOB: (1, [sent, acked])}
    assert await store.passages(second, [BOB]) == {BOB: (2, [sent, read])}


# Settings


async def test_keys_of_backends_are_kept_and_revoked(store: Store) -> None:
    """A revocation is stored on the key; nothing else of it changes."""
    key = ApiKey(
        id="k1", name="shop", hash="h", scopes=frozenset({Scope.SEND}), channels=frozenset({"news"}), created_at=NOW
    )
    async with store.begin() as transaction:
        await transaction.put_api_key(key)
        await transaction.put_api_key(replace(key, revoked_at=LATER))

    assert await store.api_key("k1") == replace(key, revoked_at=LATER)
    assert [each.id for each in await store.api_keys()] == ["k1"]
    assert await store.api_key("none") is None


async def test_keys_of_backends_expire_and_tell_of_their_use(store: Store) -> None:
    """The end of a key can be moved; its last use only moves forward, and is left alone by whoever ends the key."""
    key = ApiKey(id="k1", name="shop", hash="h", scopes=frozenset({Scope.SEND}), channels=frozenset(), created_at=NOW)
    async with store.begin() as transaction:
        await transaction.put_api_key(key)
        await transaction.note_keys_used({"k1": LATER, "none": LATER})
    async with store.begin() as transaction:
        await transaction.note_keys_used({"k1": NOW})
        await transaction.put_api_key(replace(key, expires_at=LATER))

    assert await store.api_key("k1") == replace(key, expires_at=LATER, last_used_at=LATER)
    assert await store.api_key("none") is None


async def test_channels_are_kept_by_name(store: Store) -> None:
    """A channel is stored whole and replaced whole."""
    news = Channel(name="news", type=ChannelType.NOTIFICATION, time_to_live_ms=5)
    async with store.begin() as transaction:
        await transaction.put_channel(news, NOW)
        await transaction.put_channel(Channel(name="alerts", type=ChannelType.BROADCAST), NOW)
        await transaction.put_channel(replace(news, time_to_live_ms=None, display_name="News"), LATER)

    assert [each.name for each in await store.channels()] == ["alerts", "news"]
    assert await store.channel("news") == replace(news, time_to_live_ms=None, display_name="News")


async def test_empty_lists_are_fine(store: Store) -> None:
    """Bulk calls take any number of rows, none included."""
    async with store.begin() as transaction:
        assert await transaction.claim_keys([]) == {}
        await transaction.release_keys([])
        assert await transaction.conversations([]) == {}
        assert await transaction.extend_conversations([]) == {}
        await transaction.count_own({})
        assert await transaction.extend_sources({}, {}) == {}
        await transaction.insert_messages([])
        await transaction.insert_entries([])
        await transaction.put_states([], [])
        assert await transaction.messages([]) == {}
        assert await transaction.devices([]) == {}
        await transaction.put_devices([], NOW)
        assert await transaction.device_counts([]) == {}
        assert await transaction.heads([]) == {}
        assert await transaction.heard([]) == []
        assert await transaction.advance_receipts([]) == []
        await transaction.record_moves([])
        assert await transaction.read_marks([]) == {}
        await transaction.delete_outbox([])
    assert await store.entries([]) == []
    assert await store.states([]) == []
    assert await store.passed_in_lanes([]) == []
    assert await store.passed_by_reading([]) == []


async def test_a_store_that_answers_passes_its_check(store: Store) -> None:
    """`check` is silent when the database answers."""
    await store.check()
