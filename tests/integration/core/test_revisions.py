"""Edits and deletions: who is told what, in which order, and what they leave as it was."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import cast

import msgspec
import pytest
from sqlalchemy import insert, select

from aldis.adapters.memory.clock import START_MS
from aldis.adapters.sql import schema
from aldis.adapters.sql.store import SqlTransaction
from aldis.domain.callers import BackendCaller, Scope, UserCaller
from aldis.domain.channels import Channel, ChannelType, ChatPolicy, WhoMayChat
from aldis.domain.content import text_content
from aldis.domain.errors import Rejected, Unavailable
from aldis.domain.ids import MessageId, UserId
from aldis.domain.messages import Gone
from aldis.domain.receipts import ReadMark
from aldis.domain.streams import Batch, LaneHead, Priority
from aldis.ports.store import Unstorable
from aldis.services.erase_user import erase_all, request_erasure
from aldis.services.list_conversations import list_conversations
from aldis.services.message_status import read_message_status
from aldis.services.retry_contention import TRIES
from integration.core.commands import ALICE, BOB, chat, notification, talk
from integration.core.faulty_store import REFUSED, FaultyStore
from integration.core.running_core import Core, open_core, told
from integration.core.tables import everything, execute, files_with

AS_ALICE, AS_BOB = UserCaller(ALICE, 0), UserCaller(BOB, 0)
SHOP = BackendCaller("shop", "k", scopes=frozenset({Scope.SEND, Scope.SEND_AS}))
SECRET = "sekrit"


async def sent(core: Core, *texts: str, **more: object) -> list[MessageId]:
    """Messages of alice to bob."""
    return [one.message_id for one in await core.store_all(*(chat(text, **more) for text in texts))]  # type: ignore[arg-type]


def rung(core: Core, user: UserId) -> list[tuple[int, str, str]]:
    """What a user's gateways were rung with, in the order of the positions."""
    batches = [ring for ring in core.doorbell.rung if isinstance(ring, Batch) and ring.user == user]
    return sorted(told(event) for batch in batches for event in batch.events if batch.source == "s")


async def refusal(core: Core, message_id: MessageId, caller: UserCaller | BackendCaller = AS_ALICE) -> str:
    """The code with which an edit is refused."""
    with pytest.raises(Rejected) as refused:
        await core.edit(message_id, caller, "changed")
    return refused.value.code


# -- who is told ------------------------------------------------------------------------------------------------------


async def test_all_members_are_told_in_the_messages_own_source(core: Core) -> None:
    """At a new position each, the sender's other devices included; an express message is edited in the express lane."""
    (plain,) = await sent(core, "plain")
    (urgent,) = await sent(core, "urgent", priority=Priority.HIGH)

    await core.edit(plain, AS_ALICE, "better")
    await core.edit(urgent, AS_ALICE, "calm")
    await core.delete(plain, AS_ALICE)

    for user in (ALICE, BOB):
        assert await core.news(user, "s", after=1) == [
            (2, "message.edited", "deleted"),
            (3, "message.deleted", "deleted"),
        ]
        assert await core.news(user, "e", after=1) == [(2, "message.edited", "calm")]
    assert rung(core, BOB) == [
        (1, "message", "plain"),
        (2, "message.edited", "better"),
        (3, "message.deleted", "deleted"),
    ]


async def test_an_old_event_shows_the_message_as_it_is_now(core: Core) -> None:
    """Whoever reads late gets the words of now at the place of then."""
    first, _ = await sent(core, "one", "two")
    await core.edit(first, AS_ALICE, "three")

    assert await core.news(BOB, "s") == [(1, "message", "three"), (2, "message", "two"), (3, "message.edited", "three")]


async def test_an_edit_answers_the_message_as_it_is_now(core: Core) -> None:
    """With the time of the edit; its place, its client id and all else are as before."""
    (first,) = await sent(core, "one", client_id="c-1")
    before = await core.store.message(first)
    core.clock.now += 5_000

    now = await core.edit(first, AS_ALICE, "two")

    assert before is not None
    assert now == replace(before[0], content=text_content("two"), edited_at=core.clock.now)
    assert await core.store.message(first) == (now, before[1])


async def test_what_changes_nothing_is_told_to_nobody(core: Core) -> None:
    """The same words again, and a second deletion."""
    kept, gone = await sent(core, "one", "two")
    await core.delete(gone, AS_ALICE)
    heads = await core.head(BOB, "s")

    now = await core.edit(kept, AS_ALICE, "one")
    await core.delete(gone, AS_ALICE)

    assert (now.edited_at, await core.head(BOB, "s")) == (None, heads)


async def test_a_notification_is_told_to_its_recipient(core: Core) -> None:
    """There is nobody else."""
    (news,) = await core.store_all(notification("one"))

    await core.edit(news.message_id, SHOP, "two")
    await core.delete(news.message_id, SHOP)

    assert [type_ for _, type_, _ in await core.news(BOB, "s")] == ["message", "message.edited", "message.deleted"]


async def test_one_who_was_erased_is_told_nothing_of_what_was_before(core: Core) -> None:
    """He is a stranger to it, and would read the words of a conversation that is not his any more."""
    before, own = await sent(core, "before"), await core.store_all(chat("his", sender=BOB, to=ALICE))
    await erase(core, BOB)
    (after,) = await sent(core, "after")
    head = await core.head(BOB, "s")

    await core.edit(before[0], AS_ALICE, "edited")
    await core.edit(after, AS_ALICE, "and this")

    assert await core.news(BOB, "s", after=head.seq) == [(head.seq + 1, "message.edited", "and this")]
    with pytest.raises(Rejected, match="no such message"):
        await core.delete(own[0].message_id, AS_BOB)


async def test_events_for_the_outside_name_the_message_without_its_content(core: Core) -> None:
    """One row for each change, in its transaction."""
    (first,) = await sent(core, "one")
    await core.edit(first, AS_ALICE, "two")
    await core.delete(first, AS_ALICE)

    async with core.store.begin() as transaction:
        rows = await transaction.lease_outbox(START_MS, START_MS + 1, 10)

    assert [row.topic for row in rows] == ["message.accepted", "message.edited", "message.deleted"]
    facts = [msgspec.json.decode(row.payload) for row in rows]
    assert facts[1] == facts[2] == facts[0]
    assert facts[0][0]["message_id"] == first
    assert "content" not in facts[0][0]


# -- what stays as it was ---------------------------------------------------------------------------------------------


async def test_counts_receipts_and_rings_are_not_touched(core: Core) -> None:
    """Nothing becomes unread, nobody is rung for, and an acknowledgement of an edit is no delivery of anything."""
    first, second = await sent(core, "one", "two")
    await core.connect(BOB, "phone")
    await core.ack(BOB, "phone", {"s": 2})
    await core.read(BOB, talk(ALICE, BOB), 1)
    receipts = await core.told(ALICE, "receipt")

    await core.edit(first, AS_ALICE, "three")
    await core.delete(second, AS_ALICE)
    assert await core.due() == set()
    await core.ack(BOB, "phone", {"s": 4})

    assert await core.badge(BOB) == 1
    assert await core.mark(talk(ALICE, BOB), BOB) == ReadMark(head_seq=2, read_seq=1, own_total=0, own_read=0)
    assert await core.told(ALICE, "receipt") == receipts
    assert await core.told(ALICE, "badge") == []


@pytest.mark.parametrize("acked", [0, 1])
async def test_a_status_is_what_it_was(core: Core, acked: int) -> None:
    """For what was delivered and for what was not."""
    first, second = await sent(core, "one", "two")
    await core.connect(BOB, "phone")
    await core.ack(BOB, "phone", {"s": acked})

    async def statuses() -> list[str]:
        found = [
            await read_message_status(each, AS_ALICE, limit=1, store=core.store, now_ms=START_MS)
            for each in (first, second)
        ]
        return [of.recipients.items[0].status for of in found]

    before = await statuses()
    await core.edit(first, AS_ALICE, "three")
    await core.delete(second, AS_ALICE)

    assert await statuses() == before
    assert await core.due() == {("bob", "s")}
    assert before.count("delivered") == acked


async def test_a_conversation_shows_what_became_of_its_last_message(core: Core) -> None:
    """In its place in the list."""
    (first,) = await sent(core, "one")
    await core.edit(first, AS_ALICE, "two")
    (edited,) = (await list_conversations(BOB, limit=9, store=core.store)).items
    await core.delete(first, AS_ALICE)
    (deleted,) = (await list_conversations(BOB, limit=9, store=core.store)).items

    assert edited.last is not None
    assert deleted.last is not None
    assert (edited.last.content, deleted.last.gone) == (text_content("two"), Gone.DELETED)
    assert (edited.mark, edited.last.seq) == (deleted.mark, deleted.last.seq)


# -- deletions --------------------------------------------------------------------------------------------------------


async def test_nothing_of_what_was_deleted_is_left_in_any_row(url: str, tmp_path: Path) -> None:
    """Neither of what it said last nor of what it said before."""
    async with open_core(url) as core:
        (first,) = await core.store_all(chat(f"{SECRET} one", client_id="c", request_key="k", fingerprint="f"))
        await core.edit(first.message_id, AS_ALICE, f"{SECRET} two")
        assert {table for table, value in everything(tmp_path / "aldis.db") if SECRET in value} == {"messages"}

        await core.delete(first.message_id, AS_ALICE)

        assert [table for table, value in everything(tmp_path / "aldis.db") if SECRET in value] == []
    assert files_with(tmp_path, SECRET) == [], "nor in the files, once the log has been written back"


async def test_a_repeat_of_a_send_that_was_deleted_gets_the_earlier_answer(core: Core) -> None:
    """A sender who did not hear the answer must not bring back what was deleted meanwhile."""
    command = chat("one", client_id="c")
    (first,) = await core.store_all(command)
    await core.delete(first.message_id, AS_ALICE)

    (again,) = await core.store_all(replace(chat("one", client_id="c")))

    assert again == replace(first, duplicate=True)
    assert await core.news(BOB, "s", after=1) == [(2, "message.deleted", "deleted")]


async def test_a_deleted_message_expires_no_more(core: Core) -> None:
    """It stays deleted for all, its recipient's status does not fail, and nothing waits for its time any more."""
    (first,) = await core.store_all(replace(chat("one"), expires_at=START_MS + 1_000))
    letter = {"id": "d", "recipient": "bob", "channel": "chat", "reason": "r", "lane": "s", "seq": 1, "attempts": 1}
    await execute(core, insert(schema.dead_letters).values(message_id=first.message_id, failed_at=1, **letter))

    await core.delete(first.message_id, AS_ALICE)
    core.clock.now += 10_000

    assert await core.news(BOB, "s") == [(1, "message", "deleted"), (2, "message.deleted", "deleted")]
    found = await read_message_status(first.message_id, AS_ALICE, limit=1, store=core.store, now_ms=core.clock.now)
    assert [recipient.status for recipient in found.recipients.items] == ["pending"]
    async with core.store.begin() as transaction:
        connection = cast("SqlTransaction", transaction)._connection
        left = [(await connection.execute(select(table))).all() for table in (schema.expiries, schema.dead_letters)]
    assert left == [[], []]


async def test_what_has_expired_can_still_be_deleted(core: Core) -> None:
    """Its content may lie there still; then it is gone for good."""
    (first,) = await core.store_all(replace(chat(SECRET), expires_at=START_MS + 1_000))
    core.clock.now += 10_000

    await core.delete(first.message_id, AS_ALICE)

    found = await core.store.message(first.message_id)
    assert found is not None
    assert (found[0].content, found[0].gone) == (None, Gone.DELETED)


async def test_a_reply_to_a_deleted_message_keeps_its_thread(core: Core) -> None:
    """Before the deletion and after it."""
    (root,) = await sent(core, "root")
    (early,) = await sent(core, "early", reply_to=root)
    await core.delete(root, AS_ALICE)
    (late,) = await sent(core, "late", reply_to=root)

    found = await core.store.history(talk(ALICE, BOB), before=None, after=0, limit=9)
    assert [(m.id, m.thread_id) for m in found] == [(root, None), (early, root), (late, root)]


async def test_purged_wins_over_deleted(core: Core) -> None:
    """Whichever comes first; what was deleted is purged without a word, and what is purged stays so."""
    first, second = await sent(core, "one", "two")
    await core.delete(first, AS_ALICE)
    head = await core.head(BOB, "s")
    await erase(core, ALICE)
    after = await core.news(BOB, "s", after=head.seq)
    found = await core.store.history(talk(ALICE, BOB), before=None, after=0, limit=9)
    await core.delete(second, SHOP)

    assert [m.gone for m in found] == [Gone.PURGED, Gone.PURGED]
    assert after == [(head.seq + 1, "message.deleted", "purged")]
    assert (await core.head(BOB, "s")).seq == head.seq + 1


async def erase(core: Core, user: UserId) -> None:
    await request_erasure(user, actor="backend:ops", store=core.store, clock=core.clock)
    await erase_all(store=core.store, ringer=core.ringer, clock=core.clock)


# -- what is refused --------------------------------------------------------------------------------------------------


async def test_what_is_gone_is_not_edited(core: Core) -> None:
    """Deleted or expired: there is nothing left that could say something else."""
    (deleted,) = await sent(core, "one")
    (expired,) = await core.store_all(replace(chat("two"), expires_at=START_MS + 1_000))
    await core.delete(deleted, AS_ALICE)
    core.clock.now += 10_000
    head = await core.head(BOB, "s")

    assert [await refusal(core, each) for each in (deleted, expired.message_id)] == ["conflict", "conflict"]
    assert await core.head(BOB, "s") == head


async def test_where_one_may_not_write_one_may_not_edit_but_delete(core: Core) -> None:
    """A block in either direction; to delete is always allowed."""
    first, second = await sent(core, "one", "two")
    for blocker, blocked in ((ALICE, BOB), (BOB, ALICE)):
        async with core.store.begin() as transaction:
            await transaction.put_block(blocker, blocked, START_MS)
        assert await refusal(core, first) == "forbidden"
        async with core.store.begin() as transaction:
            await transaction.delete_block(blocker, blocked)
    async with core.store.begin() as transaction:
        await transaction.put_block(BOB, ALICE, START_MS)
    await core.delete(second, AS_ALICE)

    assert await core.news(BOB, "s") == [
        (1, "message", "one"), (2, "message", "deleted"), (3, "message.deleted", "deleted"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "is_allowed"),
    [
        (ChatPolicy(who=WhoMayChat.ANYONE), True),
        (ChatPolicy(who=WhoMayChat.EXISTING), True),
        (ChatPolicy(who=WhoMayChat.AGENTS, agents=("bob",)), True),
        (ChatPolicy(who=WhoMayChat.AGENTS, agents=("carol",)), False),
        (ChatPolicy(who=WhoMayChat.NOBODY), False),
    ],
    ids=lambda value: getattr(value, "who", value),
)
async def test_a_policy_holds_for_edits(core: Core, policy: ChatPolicy, *, is_allowed: bool) -> None:
    """As it is now, whatever it was when the message was sent."""
    (first,) = await sent(core, "one")
    core.policies = {"chat": policy}

    if is_allowed:
        assert (await core.edit(first, AS_ALICE, "two")).content == text_content("two")
    else:
        assert await refusal(core, first) == "forbidden"
    await core.delete(first, AS_ALICE)


async def test_in_a_closed_channel_nothing_is_edited_but_deleted(core: Core) -> None:
    """It takes no more sends, and no other words for what was sent."""
    async with core.store.begin() as transaction:
        await transaction.put_channel(Channel(name="news", type=ChannelType.NOTIFICATION), START_MS)
    (news,) = await core.store_all(notification("one"))
    async with core.store.begin() as transaction:
        await transaction.close_channel("news", START_MS)

    assert await refusal(core, news.message_id, SHOP) == "unknown_channel"
    await core.delete(news.message_id, SHOP)
    assert await core.news(BOB, "s", after=1) == [(2, "message.deleted", "deleted")]


async def test_a_channels_limit_holds_for_what_backends_write(core: Core) -> None:
    """As when they send it."""
    channel = Channel(name="news", type=ChannelType.NOTIFICATION, max_content_bytes=40)
    async with core.store.begin() as transaction:
        await transaction.put_channel(channel, START_MS)
    (news,) = await core.store_all(notification("one"))

    with pytest.raises(Rejected, match="at most 40"):
        await core.edit(news.message_id, SHOP, "x" * 40)


# -- when things go wrong ---------------------------------------------------------------------------------------------


async def test_a_lost_race_is_run_again(faulty_core: Core, faulty: FaultyStore) -> None:
    """Edits and deletions alike; each is made once."""
    (first,) = await sent(faulty_core, "one")
    faulty.contentions = TRIES - 1
    await faulty_core.edit(first, AS_ALICE, "two")
    faulty.contentions = TRIES - 1
    await faulty_core.delete(first, AS_ALICE)

    assert [type_ for _, type_, _ in await faulty_core.news(BOB, "s")] == [
        "message", "message.edited", "message.deleted",
    ]  # fmt: skip


async def test_an_answer_that_was_lost_is_asked_for_again(faulty_core: Core, faulty: FaultyStore) -> None:
    """Whoever repeats what may have happened makes no second event of it."""
    (first,) = await sent(faulty_core, "one")
    for change in (lambda: faulty_core.edit(first, AS_ALICE, "two"), lambda: faulty_core.delete(first, AS_ALICE)):
        faulty.lost_answers = 1
        with pytest.raises(Unavailable):
            await change()
        await change()

    assert await faulty_core.head(BOB, "s") == LaneHead(3, 0)


async def test_what_the_database_refuses_changes_nothing(faulty_core: Core) -> None:
    """The message says what it said."""
    (first,) = await sent(faulty_core, "one")

    with pytest.raises(Unstorable):
        await faulty_core.edit(first, AS_ALICE, REFUSED.decode())

    assert await faulty_core.news(BOB, "s") == [(1, "message", "one")]


async def test_edits_that_race_stand_in_the_order_of_their_commits(core: Core) -> None:
    """Fifty at once, and sends around them: one event each, no hole, and the last words are those of the last event."""
    (first,) = await sent(core, "one")
    await asyncio.gather(
        *(core.edit(first, AS_ALICE, f"edit {number}") for number in range(50)),
        *(core.send(chat(f"send {number}")) for number in range(50)),
    )

    live = rung(core, BOB)
    found = await core.store.message(first)
    assert [pos for pos, _, _ in live] == list(range(1, 102))
    last = [words for _, type_, words in live if type_ == "message.edited"][-1]
    assert found is not None
    assert found[0].content == text_content(last)


async def test_edits_that_race_deletions_lose_for_good(core: Core) -> None:
    """Fifty of each at once: one deletion is told, nothing after it, and no edit brings anything back."""
    (first,) = await sent(core, "one")

    async def edit(number: int) -> str:
        try:
            return str((await core.edit(first, AS_ALICE, f"edit {number}")).content)
        except Rejected as refused:
            return refused.code

    edits = [edit(number) for number in range(50)]
    deletions = [core.delete(first, AS_ALICE) for _ in range(50)]
    answers = await asyncio.gather(*edits[:10], *deletions, *edits[10:])

    made = [answer for answer in answers if answer not in {None, "conflict"}]
    live = rung(core, BOB)
    found = await core.store.message(first)
    assert [type_ for _, type_, _ in live] == ["message", *["message.edited"] * len(made), "message.deleted"]
    assert answers.count("conflict") == 50 - len(made)
    assert found is not None
    assert (found[0].content, found[0].gone) == (None, Gone.DELETED)
