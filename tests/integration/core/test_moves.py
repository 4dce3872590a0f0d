"""Acknowledgements and reads: receipts, unread counts, badges, and when a lane is no longer due."""

import random

import pytest

from aldis.domain.callers import UserCaller
from aldis.domain.errors import Rejected
from aldis.domain.ids import ConversationId, DeviceId, MessageId, UserId
from aldis.domain.status import Status
from aldis.domain.streams import Batch, Priority, Source
from aldis.services.check_acknowledgement import check_acknowledgement
from aldis.services.message_status import read_message_status
from aldis.services.store_moves import Read, Sent
from integration.core.commands import ALICE, BOB, CAROL, chat, into, news_of, notification, talk
from integration.core.faulty_store import FaultyStore
from integration.core.running_core import Core

TALK = talk(ALICE, BOB)
HIGH = Priority.HIGH


def receipt(user: UserId, express: int = 0, standard: int = 0, read: int = 0) -> dict[str, object]:
    delivered = {"express": express, "standard": standard}
    return {"conversation_id": TALK, "user": user, "delivered": delivered, "read_seq": read}


async def status_for_bob(core: Core, message: MessageId) -> Status:
    found = await read_message_status(
        message, UserCaller(ALICE, 0), limit=9, store=core.store, now_ms=core.clock.now_ms()
    )
    return next(each.status for each in found.recipients.items if each.user == BOB)


async def test_an_acknowledgement_becomes_a_receipt_for_the_other(core: Core) -> None:
    """The other member is told how far the messages came; the one who acknowledged is not."""
    await core.connect(BOB, "phone")
    await core.store_all(chat("1"), chat("2"), chat("3"))

    await core.ack(BOB, "phone", {"s": 2})

    assert await core.told(ALICE, "receipt") == [receipt(BOB, standard=2)]
    assert await core.told(BOB, "receipt") == []
    rung = [ring for ring in core.doorbell.rung if isinstance(ring, Batch) and ring.source == "r"]
    assert [(ring.user, ring.last) for ring in rung] == [(ALICE, 1)]


async def test_lanes_are_acknowledged_apart(core: Core) -> None:
    """An acknowledgement of the express lane says nothing of the standard one, though seqs are shared."""
    await core.connect(BOB, "phone")
    await core.store_all(chat("1"), chat("2", priority=HIGH), chat("3"), chat("4", priority=HIGH))

    await core.ack(BOB, "phone", {"e": 2})
    assert await core.told(ALICE, "receipt") == [receipt(BOB, express=4)]

    await core.ack(BOB, "phone", {"s": 1})
    assert await core.told(ALICE, "receipt") == [receipt(BOB, express=4, standard=1)]


async def test_receipts_only_grow(core: Core) -> None:
    """Repeated and late acknowledgements change nothing: no row, no position, no ring."""
    await core.connect(BOB, "phone")
    await core.store_all(*(chat(str(n)) for n in range(5)))
    for position in (4, 4, 2, 1, 4):
        await core.ack(BOB, "phone", {"s": position})

    assert await core.told(ALICE, "receipt") == [receipt(BOB, standard=4)]
    assert (await core.head(ALICE, "r")).seq == 1


async def test_acknowledgements_in_one_group_are_merged(core: Core) -> None:
    """Whatever their order in the group, the other member is told once, of the highest."""
    await core.connect(BOB, "phone")
    await core.connect(BOB, "tablet")
    await core.store_all(*(chat(str(n)) for n in range(5)))
    for device, position in (("phone", 3), ("tablet", 5), ("phone", 2), ("tablet", 1)):
        core.moves.ack_nowait(BOB, DeviceId(device), {"s": position})
    await core.moves.settle()

    assert await core.told(ALICE, "receipt") == [receipt(BOB, standard=5)]
    acked = [await core.store.device(BOB, DeviceId(name)) for name in ("phone", "tablet")]
    assert [device.acked.s for device in acked if device is not None] == [3, 5]


async def test_ones_own_messages_are_no_receipts(core: Core) -> None:
    """Acknowledging what another of one's devices has sent tells nobody anything."""
    await core.connect(ALICE, "phone")
    await core.store_all(chat("1"), chat("2"))

    await core.ack(ALICE, "phone", {"s": 2})

    assert await core.told(BOB, "receipt") == []


async def test_a_second_device_adds_what_the_first_had_not(core: Core) -> None:
    """The receipt is of the user: behind the first device nothing new is told, beyond it there is."""
    await core.connect(BOB, "phone")
    await core.connect(BOB, "tablet")
    await core.store_all(*(chat(str(n)) for n in range(4)))

    await core.ack(BOB, "phone", {"s": 3})
    await core.ack(BOB, "tablet", {"s": 2})
    assert (await core.head(ALICE, "r")).seq == 1

    await core.ack(BOB, "tablet", {"s": 4})
    assert await core.told(ALICE, "receipt") == [receipt(BOB, standard=4)]


async def test_an_acknowledgement_passes_several_conversations(core: Core) -> None:
    """Each sender is told of his own conversation; notifications have nobody to be told."""
    await core.connect(BOB, "phone")
    await core.store_all(chat("a"), chat("c", sender=CAROL, to=BOB), notification("n"), chat("b"))

    await core.ack(BOB, "phone", {"s": 4})

    assert await core.told(ALICE, "receipt") == [receipt(BOB, standard=2)]
    assert [told["conversation_id"] for told in await core.told(CAROL, "receipt")] == [talk(BOB, CAROL)]
    assert await core.told(BOB, "receipt") == []


async def test_an_acknowledgement_of_a_removed_device_is_ignored(core: Core) -> None:
    """Nobody is left to be moved: no device appears, no receipt is told, the lane stays due."""
    await core.store_all(chat())

    await core.ack(BOB, "lost", {"s": 1})

    assert await core.store.device(BOB, DeviceId("lost")) is None
    assert await core.told(ALICE, "receipt") == []
    assert (BOB, "s") in await core.due()


@pytest.mark.parametrize(("positions", "code"), [({"s": 2}, "bad_cursor"), ({"e": 1}, "bad_cursor"), ({"s": 1}, None)])
async def test_an_acknowledgement_above_the_head_is_refused(
    core: Core, positions: dict[Source, int], code: str | None
) -> None:
    """Where no connection knows what was sent, the heads decide; the answer names the source."""
    await core.connect(BOB, "phone")
    await core.store_all(chat())
    refused = None
    try:
        await check_acknowledgement(BOB, DeviceId("phone"), positions, store=core.store)
    except Rejected as error:
        refused = error.code

    assert refused == code


async def test_a_lane_is_due_for_recipients_only(core: Core) -> None:
    """The sender's own copy need not be rung."""
    await core.store_all(chat(), notification(to=CAROL, priority=HIGH))

    assert await core.due() == {(BOB, "s"), (CAROL, "e")}


async def test_a_lane_is_due_until_all_is_acknowledged(core: Core) -> None:
    """A part keeps it due, the whole ends it, a new message begins it again, the other lane is untouched."""
    await core.connect(BOB, "phone")
    await core.store_all(chat("1"), chat("2"), chat("3", priority=HIGH))

    await core.ack(BOB, "phone", {"s": 1})
    assert await core.due() == {(BOB, "s"), (BOB, "e")}
    await core.ack(BOB, "phone", {"s": 2})
    assert await core.due() == {(BOB, "e")}
    await core.store_all(chat("4"))
    assert await core.due() == {(BOB, "s"), (BOB, "e")}


async def test_any_device_ends_the_ringing(core: Core) -> None:
    """The first device that has it all is enough."""
    await core.connect(BOB, "phone")
    await core.connect(BOB, "tablet")
    await core.store_all(chat())

    await core.ack(BOB, "tablet", {"s": 1})

    assert await core.due() == set()


async def test_reading_counts_down_unread_and_badge(core: Core) -> None:
    """The answer says what is left there and everywhere; the other member sees how far it was read."""
    await core.store_all(chat("1"), chat("2"), chat("3"), notification())

    assert await core.read(BOB, TALK, 2) == (1, 2)
    assert await core.told(ALICE, "receipt") == [receipt(BOB, read=2)]
    assert await core.told(BOB, "read") == [{"conversation_id": TALK, "read_seq": 2, "unread": 1}]
    assert await core.told(BOB, "badge") == [{"badge": 2}]


async def test_a_read_stops_at_the_head(core: Core) -> None:
    """Reading ahead marks what there is, and nothing of what comes later."""
    await core.store_all(chat("1"), chat("2"))

    assert await core.read(BOB, TALK, 1000) == (0, 0)
    await core.store_all(chat("3"))
    assert await core.read(BOB, TALK, 0) == (1, 1)
    assert (await core.mark(TALK, BOB)).read_seq == 2


async def test_a_read_never_goes_back(core: Core) -> None:
    """A repeated or late read answers the counts and changes nothing: no row, no position, no ring."""
    await core.store_all(chat("1"), chat("2"), chat("3"))
    await core.read(BOB, TALK, 2)
    before = (await core.head(BOB, "r"), await core.head(ALICE, "r"), await core.mark(TALK, BOB))

    assert [await core.read(BOB, TALK, seq) for seq in (2, 1, 0, -5)] == [(1, 1)] * 4
    assert (await core.head(BOB, "r"), await core.head(ALICE, "r"), await core.mark(TALK, BOB)) == before


async def test_reads_in_one_group_are_answered_with_what_is_left_after_it(core: Core) -> None:
    """Several reads of a conversation at once, in any order, end at the highest."""
    await core.store_all(*(chat(str(n)) for n in range(5)))
    answers: list[object] = []
    for seq in (3, 1, 5, 2):
        core.moves.read_nowait(Read(BOB, None, TALK, seq), answers.append)
    await core.moves.settle()

    assert answers == [(0, 0)] * 4
    assert await core.told(ALICE, "receipt") == [receipt(BOB, read=5)]


@pytest.mark.parametrize("conversation", [TALK, ConversationId("none"), news_of(BOB)])
async def test_a_stranger_reads_nothing(core: Core, conversation: ConversationId) -> None:
    """To all but its members a conversation is not there; others in the same group are answered all the same."""
    await core.store_all(chat(), notification())
    answers: list[object] = []
    core.moves.read_nowait(Read(CAROL, None, conversation, 1), answers.append)
    core.moves.read_nowait(Read(BOB, None, TALK, 1), answers.append)
    await core.moves.settle()

    assert isinstance(answers[0], Rejected)
    assert answers[0].code == "not_found"
    assert answers[1] == (0, 1)


@pytest.mark.parametrize("seed", range(3))
async def test_unread_is_what_a_naive_count_says(core: Core, seed: int) -> None:
    """Interleaved writes and reads of both members: unread is the number of the other's messages above the mark."""
    dice = random.Random(seed)
    wrote: list[UserId] = []
    read_to = {ALICE: 0, BOB: 0}
    await core.store_all(chat("first"))
    wrote.append(ALICE)
    for _ in range(60):
        user = dice.choice((ALICE, BOB))
        if dice.random() < 0.6:
            await core.store_all(into(TALK, sender=user))
            wrote.append(user)
            continue
        seq = dice.randint(0, len(wrote) + 2)
        read_to[user] = max(read_to[user], min(seq, len(wrote)))
        unread = sum(sender != user for sender in wrote[read_to[user] :])
        assert await core.read(user, TALK, seq) == (unread, unread)

    for user, low in read_to.items():
        unread = sum(sender != user for sender in wrote[low:])
        assert ((await core.mark(TALK, user)).unread, await core.badge(user)) == (unread, unread)


async def test_the_status_of_a_message_goes_one_way(core: Core) -> None:
    """Pending, sent, delivered, read; the steps may be noted late and out of order."""
    await core.connect(BOB, "phone")
    [first, second] = await core.store_all(chat("1"), chat("2"))
    assert await status_for_bob(core, first.message_id) is Status.PENDING

    core.moves.sent_nowait(Sent(BOB, DeviceId("phone"), "s", 0, 1, core.clock.now_ms()))
    await core.moves.settle()
    assert await status_for_bob(core, first.message_id) is Status.SENT
    assert await status_for_bob(core, second.message_id) is Status.PENDING

    await core.ack(BOB, "phone", {"s": 2})
    assert await status_for_bob(core, second.message_id) is Status.DELIVERED

    await core.read(BOB, TALK, 1)
    assert await status_for_bob(core, first.message_id) is Status.READ
    assert await status_for_bob(core, second.message_id) is Status.DELIVERED


async def test_moves_go_through_contention(faulty_core: Core, faulty: FaultyStore) -> None:
    """A group that loses its race is tried again and moves everything once."""
    await faulty_core.connect(BOB, "phone")
    await faulty_core.store_all(chat("1"), chat("2"))
    faulty.contentions = 3

    await faulty_core.ack(BOB, "phone", {"s": 2})

    assert await faulty_core.told(ALICE, "receipt") == [receipt(BOB, standard=2)]
    assert (await faulty_core.head(ALICE, "r")).seq == 1


async def test_an_acknowledgement_whose_commit_was_lost_can_be_repeated(faulty_core: Core, faulty: FaultyStore) -> None:
    """Whether or not it happened, the next one brings the device to the same place."""
    await faulty_core.connect(BOB, "phone")
    await faulty_core.store_all(chat("1"), chat("2"))
    faulty.lost_commits = 1
    faulty_core.moves.ack_nowait(BOB, DeviceId("phone"), {"s": 1})
    await faulty_core.moves.settle()

    await faulty_core.ack(BOB, "phone", {"s": 2})

    assert await faulty_core.told(ALICE, "receipt") == [receipt(BOB, standard=2)]
