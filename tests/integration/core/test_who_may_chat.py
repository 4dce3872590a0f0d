"""Policies and blocks, as the transaction that stores a message holds them."""

from dataclasses import replace

import pytest

from aldis.adapters.memory.clock import START_MS
from aldis.domain.channels import ChatPolicies, ChatPolicy, WhoMayChat
from aldis.domain.errors import AldisError, Rejected
from aldis.domain.ids import ConversationId, UserId, conversation_id
from aldis.domain.messages import SendMessage, Stored
from aldis.services.block_user import block_user, unblock_user
from aldis.services.ring import Ringer
from aldis.services.store_group import store_group
from integration.core.commands import ALICE, BOB, CAROL, chat, into, notification, talk
from integration.core.running_core import Core

AGENT = UserId("agent:1")
POLICIES: ChatPolicies = {
    "desk": ChatPolicy(who=WhoMayChat.AGENTS, agents=("agent:*",)),
    "order": ChatPolicy(who=WhoMayChat.EXISTING),
    "closed": ChatPolicy(who=WhoMayChat.NOBODY),
}


def write(channel: str, sender: UserId = ALICE, to: UserId = BOB, **changes: object) -> SendMessage:
    """A message in a channel's own conversation of the two."""
    target = conversation_id("chat", channel, (sender, to))
    return replace(chat(sender=sender, to=to), channel=channel, conversation_id=target, **changes)  # type: ignore[arg-type]


def go_on(channel: str, sender: UserId = ALICE, to: UserId = BOB) -> SendMessage:
    """One into the conversation by its id, from a sender who did not name the channel."""
    return into(conversation_id("chat", channel, (sender, to)), sender=sender)


async def store_all(core: Core, *commands: SendMessage, policies: ChatPolicies = POLICIES) -> list[Stored | AldisError]:
    """The answers to one group."""
    answers, _ = await store_group(commands, store=core.store, now_ms=START_MS, policies=policies)
    return answers


def outcome(answer: Stored | AldisError) -> str:
    """In a word: the seq, or the code and the field."""
    if isinstance(answer, Stored):
        return f"{answer.seq}{' again' if answer.duplicate else ''}"
    assert isinstance(answer, Rejected)
    return f"{answer.code} {answer.field}"


async def outcomes(core: Core, *commands: SendMessage, policies: ChatPolicies = POLICIES) -> list[str]:
    return [outcome(answer) for answer in await store_all(core, *commands, policies=policies)]


NO, NO_MORE = "forbidden to.user", "forbidden to.conversation"


async def test_with_agents_one_of_the_two_is_an_agent(core: Core) -> None:
    """Whoever begins, and whichever way the other is named; what is refused takes no seq."""
    first = await outcomes(core, write("desk"), write("desk", AGENT, BOB), write("desk", BOB, AGENT))
    later = await outcomes(core, go_on("desk", BOB, AGENT), write("desk", ALICE, BOB, begins=True))

    assert first == [NO, "1", "2"]
    assert later == ["3", NO]


async def test_where_only_backends_begin_users_go_on(core: Core) -> None:
    """Before there is a conversation a user cannot write; then both can, by name and by id."""
    assert await outcomes(core, write("order")) == [NO]
    assert await outcomes(core, write("order", begins=True), write("order", BOB, ALICE)) == ["1", "2"]
    assert await outcomes(core, write("order"), go_on("order", BOB, ALICE)) == ["3", "4"]
    assert await outcomes(core, write("order", ALICE, CAROL)) == [NO]


async def test_who_comes_before_the_backend_in_a_group_comes_too_early(core: Core) -> None:
    """A group is answered in its order."""
    assert await outcomes(core, write("order"), write("order", begins=True), write("order")) == [NO, "1", "2"]


async def test_where_nobody_may_chat_nobody_does(core: Core) -> None:
    """Not even where there was a conversation before the policy, and not for a backend."""
    await outcomes(core, write("closed"), policies={})

    assert await outcomes(core, write("closed"), go_on("closed"), write("closed", begins=True)) == [NO, NO_MORE, NO]


async def test_a_conversation_is_held_to_its_own_channels_policy(core: Core) -> None:
    """Whatever channel the sender names, or leaves out."""
    await outcomes(core, write("closed"), write("chat"), policies={})
    other = {"conversation_id": talk(ALICE, BOB), "members": None}

    assert await outcomes(core, go_on("closed")) == [NO_MORE]
    assert await outcomes(core, replace(write("closed"), **other)) == ["2"]  # type: ignore[arg-type]


async def test_a_key_of_other_channels_does_not_find_the_conversation(core: Core) -> None:
    """By its id no key comes into a channel that it is not for."""
    await outcomes(core, write("chat"))
    desk, both = frozenset({"desk"}), frozenset({"desk", "chat"})

    assert await outcomes(core, replace(go_on("chat"), own_channels=desk)) == ["not_found to.conversation"]
    assert await outcomes(core, replace(go_on("chat"), own_channels=both)) == ["2"]


async def block(core: Core, user: UserId, other: UserId) -> None:
    ringer = Ringer(presence=core.doorbell, backplane=core.doorbell)
    await block_user(user, other, store=core.store, ringer=ringer, clock=core.clock)


async def unblock(core: Core, user: UserId, other: UserId) -> None:
    await unblock_user(user, other, store=core.store, ringer=Ringer(presence=core.doorbell, backplane=core.doorbell))


async def test_a_block_stops_both_and_nobody_else(core: Core) -> None:
    """Both ways, by name and by id, also for a backend in a user's name; notifications still come."""
    await outcomes(core, chat())
    await block(core, BOB, ALICE)

    refused = await outcomes(core, chat(), chat(sender=BOB, to=ALICE), go_on("chat"), replace(chat(), begins=True))
    others = await outcomes(core, chat(sender=ALICE, to=CAROL), notification(to=BOB), notification(to=ALICE))

    assert refused == [NO, NO, NO_MORE, NO]
    assert others == ["1", "1", "1"]


async def test_the_words_are_the_same_whoever_has_blocked_and_whatever_the_policy(core: Core) -> None:
    """Who asks learns that it cannot be, not why."""
    await block(core, BOB, ALICE)
    answers = await store_all(core, chat(), chat(sender=BOB, to=ALICE), write("closed", ALICE, CAROL))

    assert len({str(answer) for answer in answers}) == 1
    assert all(isinstance(answer, Rejected) for answer in answers)


async def test_it_takes_both_to_make_peace(core: Core) -> None:
    """As long as one of two blocks stands nothing goes through; then the next seq follows the last."""
    await outcomes(core, chat())
    await block(core, ALICE, BOB)
    await block(core, BOB, ALICE)

    await unblock(core, ALICE, BOB)
    assert await outcomes(core, chat()) == [NO]
    await unblock(core, BOB, ALICE)
    assert await outcomes(core, chat()) == ["2"]


async def test_what_was_stored_before_the_block_is_answered_as_it_was(core: Core) -> None:
    """A repeat is no new message: its sender must learn that the first one is stored."""
    await outcomes(core, chat(client_id="c-1"))
    await block(core, BOB, ALICE)

    assert await outcomes(core, chat(client_id="c-1"), chat(client_id="c-2")) == ["1 again", NO]


async def test_what_was_refused_can_be_sent_again(core: Core) -> None:
    """It has taken no key: with the same id it is stored once nothing stands between the two."""
    await block(core, BOB, ALICE)
    assert await outcomes(core, chat(client_id="c-1"), chat(client_id="c-1")) == [NO, NO]

    await unblock(core, BOB, ALICE)
    assert await outcomes(core, chat(client_id="c-1"), chat(client_id="c-1")) == ["1", "1 again"]


async def test_a_user_blocks_a_bounded_number_of_others(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is refused and not kept; one of those that are there already is fine."""
    monkeypatch.setattr("aldis.services.block_user.MAX_BLOCKS", 2)
    await block(core, ALICE, BOB)
    await block(core, ALICE, CAROL)
    with pytest.raises(Rejected) as refused:
        await block(core, ALICE, AGENT)
    await block(core, ALICE, BOB)

    assert (refused.value.code, refused.value.field) == ("too_large", "user")
    assert [each.blocked for each in await core.store.blocks(ALICE, None, 9)] == [BOB, CAROL]


async def test_nobody_blocks_himself(core: Core) -> None:
    """It would mean nothing."""
    with pytest.raises(Rejected) as refused:
        await block(core, ALICE, ALICE)

    assert (refused.value.code, refused.value.field) == ("bad_request", "user")


async def test_receipts_of_what_was_sent_before_a_block_still_come(core: Core) -> None:
    """What was delivered was delivered."""
    await core.store_all(chat())
    await core.connect(BOB, "phone")
    await block(core, BOB, ALICE)
    await core.ack(BOB, "phone", {"s": 1})
    await core.read(BOB, ConversationId(talk(ALICE, BOB)), 1)

    (receipt,) = await core.told(ALICE, "receipt")
    assert receipt["read_seq"] == 1
