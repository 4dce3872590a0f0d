"""Sends become stored messages: once each, in order, with an answer each, whatever the database does."""

from dataclasses import replace
from itertools import product

import pytest

from aldis.domain.errors import AldisError, Rejected, Unavailable
from aldis.domain.ids import ConversationId, MessageId
from aldis.domain.messages import SendMessage, Stored
from aldis.domain.streams import Batch, Priority
from aldis.services.retry_contention import TRIES
from integration.core.commands import ALICE, BOB, CAROL, chat, into, news_of, notification, talk
from integration.core.faulty_store import REFUSED, FaultyStore
from integration.core.running_core import Core, event_json, open_core

TALK = talk(ALICE, BOB)
BAD = REFUSED.decode()
UNKNOWN = MessageId("00000000-0000-7000-8000-000000000000")


def code(answer: Stored | AldisError) -> str:
    assert isinstance(answer, Rejected), answer
    return answer.code


def keyed(text: str = "hi", *, key: str = "k", body: str = "body", client_id: str | None = None) -> SendMessage:
    return chat(text, request_key=key, fingerprint=body, client_id=client_id)


async def test_a_message_is_in_the_lanes_of_both(core: Core) -> None:
    """A chat reaches its recipient and the sender's own devices, at the first position of each lane."""
    [stored] = await core.store_all(chat("hello"))

    assert (stored.seq, stored.duplicate) == (1, False)
    assert await core.texts(ALICE, "s") == ["hello"]
    assert await core.texts(BOB, "s") == ["hello"]


@pytest.mark.parametrize(("priority", "lane"), [("urgent", "e"), ("high", "e"), ("normal", "s"), ("low", "s")])
async def test_the_priority_chooses_the_lane(core: Core, priority: str, lane: str) -> None:
    """Urgent and high ride express, normal and low in the standard lane."""
    await core.store_all(chat(priority=Priority(priority)))

    assert [await core.texts(BOB, "e"), await core.texts(BOB, "s")] == [["hi"] * (lane == "e"), ["hi"] * (lane == "s")]


async def test_the_gateways_are_rung_with_what_was_stored(core: Core) -> None:
    """Each member's ring has the positions and bodies that the store gives for the same pages."""
    await core.store_all(chat("one"), chat("two"))

    rung = {ring.user: ring for ring in core.doorbell.rung if isinstance(ring, Batch)}
    page = await core.page(BOB, "s")

    assert set(rung) == {ALICE, BOB}
    assert [(event.pos, event.body) for event in rung[BOB].events] == [(event.pos, event.body) for event in page]


async def test_equal_client_ids_at_once_make_one_message(core: Core) -> None:
    """Fifty equal sends in a group: one message, one answer, 49 of them marked as repeats."""
    answers = await core.store_all(*(chat(client_id="same") for _ in range(50)))

    assert len({(answer.message_id, answer.seq) for answer in answers}) == 1
    assert [answer.duplicate for answer in answers] == [False] + [True] * 49
    assert (await core.head(BOB, "s")).seq == 1


async def test_equal_client_ids_one_after_the_other_make_one_message(core: Core) -> None:
    """The same over groups of their own: a repeat takes no seq and no position."""
    answers = [(await core.store_all(chat(client_id="same")))[0] for _ in range(5)]
    [other] = await core.store_all(chat("other"))

    assert len({answer.message_id for answer in answers}) == 1
    assert [answer.duplicate for answer in answers] == [False] + [True] * 4
    assert other.seq == 2


async def test_a_client_id_is_remembered_over_a_restart(durable_url: str) -> None:
    """A repeat after the file was closed and opened again is answered with the first message."""
    async with open_core(durable_url) as core:
        [first] = await core.store_all(chat(client_id="same"))
    async with open_core(durable_url) as core:
        answers = await core.store_all(*(chat(client_id="same") for _ in range(3)))

        assert {(a.message_id, a.seq, a.duplicate) for a in answers} == {(first.message_id, 1, True)}


async def test_client_ids_belong_to_their_sender(core: Core) -> None:
    """Two senders may use the same client id."""
    answers = await core.store_all(
        chat(client_id="1"), chat(client_id="1", sender=BOB, to=ALICE), notification(client_id="1")
    )

    assert len({answer.message_id for answer in answers}) == 3


async def test_a_request_key_with_the_same_body_repeats_the_answer(core: Core) -> None:
    """An Idempotency-Key gives one message, in one group and over several."""
    answers = await core.store_all(keyed(), keyed()) + await core.store_all(keyed())

    assert len({answer.message_id for answer in answers}) == 1
    assert [answer.duplicate for answer in answers] == [False, True, True]


@pytest.mark.parametrize("together", [True, False])
async def test_a_request_key_with_another_body_is_refused(core: Core, together: bool) -> None:
    """Another body under the same key is the caller's mistake, in the same group and in a later one."""
    commands = [keyed(body="one"), keyed(body="two")]
    answers = await core.send(*commands) if together else [(await core.send(each))[0] for each in commands]

    assert isinstance(answers[0], Stored)
    assert code(answers[1]) == "idempotency_mismatch"
    assert (await core.head(BOB, "s")).seq == 1


async def test_a_wrong_body_does_not_spoil_the_repeats_that_come_with_it(core: Core) -> None:
    """What was stored under the key decides, not what stands first in a group."""
    (first,) = await core.store_all(keyed(body="one"))

    answers = await core.send(keyed(body="two"), keyed(body="one"), keyed(body="three"), keyed(body="one"))

    again = replace(first, duplicate=True)
    assert [answers[1], answers[3]] == [again, again]
    assert [code(answers[0]), code(answers[2])] == ["idempotency_mismatch"] * 2
    assert (await core.head(BOB, "s")).seq == 1


async def test_a_refused_send_does_not_take_its_key_from_those_that_come_with_it(core: Core) -> None:
    """It holds none; who came with another body under it is asked to come again, and is stored then."""
    refused = replace(keyed(body="one"), reply_to=UNKNOWN)
    together = await core.send(refused, keyed(body="two"))
    (again,) = await core.store_all(keyed(body="two"))

    assert code(together[0]) == "not_found"
    assert isinstance(together[1], Unavailable)
    assert (again.seq, again.duplicate) == (1, False)


@pytest.mark.parametrize("together", [True, False])
async def test_a_mismatch_is_seen_beside_a_repeated_client_id(core: Core, together: bool) -> None:
    """A known client id does not hide that the request key was used with another body."""
    commands = [chat(client_id="c"), keyed(body="one"), keyed(body="two", client_id="c")]
    answers = await core.send(*commands) if together else [(await core.send(each))[0] for each in commands]

    assert code(answers[2]) == "idempotency_mismatch"


async def test_a_mismatch_is_seen_beside_a_client_id_from_before(core: Core) -> None:
    """Also where that comes once more in the same group, and the request key is new with it."""
    await core.store_all(chat(client_id="c"))
    answers = await core.send(chat(client_id="c"), keyed(body="one"), keyed(body="two", client_id="c"))

    assert [answer.duplicate for answer in answers[:2] if isinstance(answer, Stored)] == [True, False]
    assert code(answers[2]) == "idempotency_mismatch"


@pytest.mark.parametrize(("client_held", "request_held", "together"), list(product([True, False], repeat=3)))
async def test_no_key_is_left_without_its_message(
    core: Core, client_held: bool, request_held: bool, together: bool
) -> None:
    """A send with two keys: whichever is held, every key that is kept afterwards leads to a message that exists."""
    earlier = [chat(client_id="c")] * client_held + [keyed(key="k")] * request_held
    both = keyed(key="k", client_id="c")
    answers = (
        await core.store_all(*earlier, both)
        if together
        else [(await core.store_all(each))[0] for each in [*earlier, both]]
    )
    probes = await core.store_all(chat("probe", client_id="c"), keyed("probe", key="k"))

    assert answers[-1].duplicate == (client_held or request_held)
    for answer in [*answers, *probes]:
        assert await core.store.message(answer.message_id) is not None
    assert (await core.mark(TALK, BOB)).head_seq == len({answer.message_id for answer in [*answers, *probes]})


async def test_a_refused_send_holds_no_key(core: Core) -> None:
    """After a refusal the same client id can still be used."""
    [refused] = await core.send(chat(client_id="c", reply_to=UNKNOWN))
    [stored] = await core.store_all(chat(client_id="c"))

    assert code(refused) == "not_found"
    assert not stored.duplicate


async def test_sends_keep_their_order_through_contention(faulty_core: Core, faulty: FaultyStore) -> None:
    """What one connection sends gets its seqs in that order, also when groups must be tried again."""
    faulty.contentions = TRIES - 1
    answers: list[Stored | AldisError] = []
    for number in range(6):
        faulty_core.committer.submit(chat(str(number)), answers.append)
    await faulty_core.committer.settle()

    assert [a.seq for a in answers if isinstance(a, Stored)] == [1, 2, 3, 4, 5, 6]
    assert await faulty_core.texts(BOB, "s") == ["0", "1", "2", "3", "4", "5"]
    assert len(faulty_core.clock.slept) == TRIES - 1


async def test_endless_contention_is_told_as_unavailable(faulty_core: Core, faulty: FaultyStore) -> None:
    """After the last try the sender is asked to come back, and the same client id is then stored once."""
    faulty.contentions = TRIES
    [lost] = await faulty_core.send(chat(client_id="c"))
    [stored] = await faulty_core.store_all(chat(client_id="c"))

    assert isinstance(lost, Unavailable)
    assert (stored.seq, stored.duplicate) == (1, False)


@pytest.mark.parametrize("bad", [{0}, {6}, {3}, {2, 3}, {0, 2, 4, 6}, set(range(7))])
async def test_only_a_bad_row_fails(faulty_core: Core, bad: set[int]) -> None:
    """Messages that cannot be stored are found and refused alone; the others keep their order without a gap."""
    answers = await faulty_core.send(*(chat(f"{n}{BAD if n in bad else ''}") for n in range(7)))

    good = [answer for answer in answers if isinstance(answer, Stored)]
    assert [code(answers[n]) for n in sorted(bad)] == ["unstorable"] * len(bad)
    assert [answer.seq for answer in good] == list(range(1, 8 - len(bad)))
    assert await faulty_core.texts(BOB, "s") == [str(n) for n in range(7) if n not in bad]


async def test_a_bad_row_and_contention_together_keep_the_order(faulty_core: Core, faulty: FaultyStore) -> None:
    """Bisection under contention neither loses nor turns anything around."""
    faulty.contentions = 3
    answers = await faulty_core.send(*(chat(f"{n}{BAD if n == 5 else ''}") for n in range(9)))

    assert [n for n, answer in enumerate(answers) if not isinstance(answer, Stored)] == [5]
    assert await faulty_core.texts(BOB, "s") == ["0", "1", "2", "3", "4", "6", "7", "8"]


async def test_a_bad_row_keeps_no_key(faulty_core: Core) -> None:
    """The client id of a message that could not be stored is free for a better one."""
    await faulty_core.send(chat(BAD, client_id="c"), chat("fine"))
    [stored] = await faulty_core.store_all(chat("better", client_id="c"))

    assert not stored.duplicate


@pytest.mark.parametrize("happened", [True, False])
async def test_a_commit_without_an_answer_is_unavailable(
    faulty_core: Core, faulty: FaultyStore, happened: bool
) -> None:
    """Nobody knows whether it happened; a retry under the same client id gives one message either way."""
    faulty.lost_answers, faulty.lost_commits = int(happened), int(not happened)
    lost = await faulty_core.send(chat("a", client_id="a"), chat("b", client_id="b"))
    again = await faulty_core.store_all(chat("a", client_id="a"), chat("b", client_id="b"))

    assert all(isinstance(answer, Unavailable) and answer.retryable for answer in lost)
    assert [(answer.seq, answer.duplicate) for answer in again] == [(1, happened), (2, happened)]
    assert await faulty_core.texts(BOB, "s") == ["a", "b"]


async def test_a_stranger_cannot_write_into_a_conversation(core: Core) -> None:
    """To all but its members a conversation is not there."""
    await core.store_all(chat())
    [stranger, nowhere] = await core.send(into(TALK, sender=CAROL), into(ConversationId("none")))

    assert [code(stranger), code(nowhere)] == ["not_found", "not_found"]
    assert (await core.mark(TALK, BOB)).head_seq == 1


async def test_a_user_cannot_answer_into_notifications(core: Core) -> None:
    """Notifications are one-way, also for the one who gets them."""
    await core.store_all(notification(to=BOB))
    [own, foreign] = await core.send(into(news_of(BOB), sender=BOB), into(news_of(BOB), sender=ALICE))

    assert [code(own), code(foreign)] == ["read_only", "not_found"]


async def test_a_conversation_made_in_the_same_group_can_be_written_into(core: Core) -> None:
    """A connection may send to a user and then, at once, into the conversation that this makes."""
    answers = await core.store_all(chat("first"), into(TALK, "second", sender=BOB))

    assert [answer.seq for answer in answers] == [1, 2]
    assert await core.texts(ALICE, "s") == ["first", "second"]


async def test_a_conversation_whose_first_message_was_refused_is_not_there(core: Core) -> None:
    """What a refused send would have made does not exist for the next."""
    answers = await core.send(chat(reply_to=UNKNOWN), into(TALK))

    assert [code(answer) for answer in answers] == ["not_found", "not_found"]


async def test_a_reply_stays_in_its_conversation(core: Core) -> None:
    """A message of another conversation cannot be replied to, nor one that does not exist."""
    [elsewhere] = await core.store_all(chat(to=CAROL))
    answers = await core.send(chat(reply_to=elsewhere.message_id), chat(reply_to=UNKNOWN))

    assert [code(answer) for answer in answers] == ["not_found", "not_found"]


async def test_replies_carry_the_thread_of_the_first(core: Core) -> None:
    """The thread is named by its first message, however deep the replies go."""
    [root] = await core.store_all(chat("root"))
    [reply] = await core.store_all(into(TALK, "reply", sender=BOB, reply_to=root.message_id))
    await core.store_all(into(TALK, "deeper", reply_to=reply.message_id))

    messages = [event_json(event)["message"] for event in await core.page(BOB, "s")]
    assert [message["thread_id"] for message in messages] == [None, root.message_id, root.message_id]
    assert [message["reply_to"] for message in messages] == [None, root.message_id, reply.message_id]


async def test_a_group_over_many_conversations_keeps_each_gapless(core: Core) -> None:
    """A group larger than one transaction: every conversation and lane counts on without a gap."""
    answers = await core.store_all(*(chat(str(n), to=[BOB, CAROL][n % 2]) for n in range(450)))

    assert [answer.seq for answer in answers[::2]] == list(range(1, 226))
    assert [event.pos for event in await core.page(ALICE, "s", after=250)] == list(range(251, 451))
    assert (await core.head(CAROL, "s")).seq == 225
