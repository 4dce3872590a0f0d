"""A thread by itself: what is in it, who sees it, and what a page of it costs."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from aldis.adapters.memory.clock import START_MS
from aldis.domain.callers import UserCaller
from aldis.domain.channels import Channel, ChannelType, History
from aldis.domain.errors import Rejected
from aldis.domain.ids import ConversationId, MessageId, UserId, broadcast_conversation_id
from aldis.domain.messages import Message, SendMessage
from aldis.services.audience import Subscriptions, open_channel
from aldis.services.pages import Page
from aldis.services.read_thread import read_thread
from integration.core.commands import ALICE, BOB, CAROL, chat, news_of, notification, talk
from integration.core.running_core import Core

AS_ALICE = UserCaller(ALICE, 0)
TALK = talk(ALICE, BOB)
NEWS = broadcast_conversation_id("news")


async def begun(core: Core, replies: int = 5) -> tuple[MessageId, list[MessageId]]:
    """A thread of two users, with other messages between its replies; its first message and the replies."""
    (root,) = await core.store_all(chat("root"))
    found: list[MessageId] = []
    for number in range(replies):
        parent = found[-1] if found and number % 2 else root.message_id  # replies to replies belong to it, too
        reply, _ = await core.store_all(chat(f"reply {number}", reply_to=parent), chat(f"other {number}"))
        found.append(reply.message_id)
    return root.message_id, found


async def page(core: Core, root: MessageId, user: UserId = BOB, **more: Any) -> Page[Message, int]:
    given: dict[str, Any] = {"limit": 50, **more}
    where: ConversationId = given.pop("where", TALK)
    return await read_thread(where, root, user, store=core.store, **given)


def ids(messages: Sequence[Message]) -> list[MessageId]:
    return [message.id for message in messages]


async def refusal(core: Core, root: str, **more: Any) -> tuple[str, str | None]:
    with pytest.raises(Rejected) as refused:
        await page(core, MessageId(root), **more)
    return refused.value.code, refused.value.field


async def test_a_thread_is_its_first_message_and_all_replies(core: Core) -> None:
    """Also the replies to replies; upwards the first message comes first."""
    root, replies = await begun(core)

    assert ids((await page(core, root, after=0)).items) == [root, *replies]
    assert ids((await page(core, root)).items) == [*reversed(replies), root]


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7])
async def test_its_pages_have_each_message_once(core: Core, limit: int) -> None:
    """Following `next` in either direction, whatever the size of a page."""
    root, replies = await begun(core)
    for way, expected in (("after", [root, *replies]), ("before", [*reversed(replies), root])):
        found: list[MessageId] = []
        place: int | None = 0 if way == "after" else None
        while True:
            more: dict[str, Any] = {way: place}
            got = await page(core, root, limit=limit, **more)
            found += ids(got.items)
            place = got.next
            if place is None:
                break
        assert found == expected


async def test_a_message_without_replies_is_a_thread_of_one(core: Core) -> None:
    """Until somebody answers it."""
    (alone,) = await core.store_all(chat("alone"))

    assert ids((await page(core, alone.message_id)).items) == [alone.message_id]


async def test_a_thread_shows_what_became_of_its_messages(core: Core) -> None:
    """As everywhere."""
    root, replies = await begun(core, 1)
    await core.edit(replies[0], AS_ALICE, "changed")
    await core.delete(root, AS_ALICE)

    first, reply = (await page(core, root, after=0)).items
    assert (first.content, reply.content) == (None, b'{"type":"text","text":"changed"}')


async def test_who_is_no_member_finds_nothing(core: Core) -> None:
    """Neither the conversation nor the thread; nor does a member by another conversation's id."""
    root, _ = await begun(core, 1)
    await core.store_all(chat("to carol", to=CAROL))

    assert await refusal(core, root, user=CAROL) == ("not_found", "conversation_id")
    assert await refusal(core, root, user=ALICE, where=talk(ALICE, CAROL)) == ("not_found", "thread")
    assert await refusal(core, "01a3185c-5000-74ec-9654-2e063d8fc4e8") == ("not_found", "thread")


async def test_a_reply_is_not_where_a_thread_begins(core: Core) -> None:
    """The refusal says where it did."""
    root, replies = await begun(core, 1)

    with pytest.raises(Rejected, match=root) as refused:
        await page(core, replies[0])
    assert (refused.value.code, refused.value.field) == ("bad_request", "thread")


async def test_a_backend_answers_its_own_notifications(core: Core) -> None:
    """A notification conversation has threads as any other."""
    (first,) = await core.store_all(notification("shipped"))
    second = await core.store_all(replace(notification("arrived"), reply_to=first.message_id), notification("other"))

    found = await page(core, first.message_id, where=news_of(BOB), after=0)
    assert ids(found.items) == [first.message_id, second[0].message_id]


@asynccontextmanager
async def on_air(core: Core, history: History) -> AsyncIterator[Subscriptions]:
    """A broadcast channel, and who hears it."""
    channel = Channel(name="news", type=ChannelType.BROADCAST, history=history)
    async with core.store.begin() as transaction:
        await transaction.put_channel(channel, START_MS)
        await open_channel(channel, transaction)
    yield Subscriptions(store=core.store, ringer=core.ringer, clock=core.clock, channel=core.store.channel)


def broadcast(text: str, reply_to: MessageId | None = None) -> SendMessage:
    return replace(notification(text), conversation_id=NEWS, members=(), reply_to=reply_to)


@pytest.mark.parametrize("history", History)
async def test_a_broadcast_has_threads_for_its_listeners(core: Core, history: History) -> None:
    """Who joined later sees as much of one as the channel shows him, and nothing of one that he may not see."""
    async with on_air(core, history) as subscriptions:
        await subscriptions.subscribe(ALICE, "news")
        (root,) = await core.store_all(broadcast("root"))
        (old,) = await core.store_all(broadcast("unanswered"))
        await subscriptions.subscribe(BOB, "news")
        (reply,) = await core.store_all(broadcast("reply", root.message_id))

        hers = await page(core, root.message_id, user=ALICE, where=NEWS)
        his = await page(core, root.message_id, user=BOB, where=NEWS)

        assert ids(hers.items) == [reply.message_id, root.message_id]
        assert ids(his.items) == ids(hers.items)[: None if history is History.VISIBLE else 1]
        assert await refusal(core, root.message_id, user=CAROL, where=NEWS) == ("not_found", "conversation_id")
        if history is History.HIDDEN:
            assert await refusal(core, old.message_id, user=BOB, where=NEWS) == ("not_found", "thread")
