"""What every store promises of revisions (`aldis.ports.revisions`)."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from aldis.adapters.sql.store import open_sql_store
from aldis.domain.ids import ConversationId, MessageId, UserId, first_id_at
from aldis.domain.messages import Gone, Message, deleted, edited
from aldis.domain.streams import EDITED, LaneHead
from aldis.ports.store import LaneEntry, Store, Want
from contract.store_rows import ALICE, BOB, NEWS, NOW, TALK, message, places, store_messages

OTHER = b'{"type":"text","text":"other"}'


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with open_sql_store(database_url, now_ms=NOW) as store:
        yield store


async def revise(store: Store, now: Message) -> None:
    async with store.begin() as transaction:
        assert await transaction.lock_message(now.id) is not None
        await transaction.put_revision(now)


async def found(store: Store, message_id: MessageId) -> Message:
    there = await store.message(message_id)
    assert there is not None
    return there[0]


async def tell(store: Store, of: Message, at: int, user: UserId = BOB) -> None:
    """Put an edit into the lane of one member."""
    async with store.begin() as transaction:
        heads = await transaction.extend_sources({(user, "s"): 1}, {})
        entry = LaneEntry(user, "s", heads[user, "s"], of.id, of.conversation_id, of.seq, own=True)
        await transaction.insert_entries([entry._replace(type=EDITED, revised_at=at)])


async def thread(root_and_replies: Sequence[Message], store: Store) -> None:
    """Store messages as a thread that the first of them begins, in the order of their places."""
    root, *replies = root_and_replies
    await store_messages(store, root, *(replace(m, thread_id=root.id, reply_to=root.id) for m in replies))


async def test_a_revision_changes_what_a_message_says_and_nothing_else(store: Store) -> None:
    """Content, when it was edited, why it is gone, when it expires; every other field and message stays."""
    first, second = message(1, expires_at=NOW + 9), message(2)
    await store_messages(store, first, second)

    await revise(store, edited(first, OTHER, NOW + 5))
    after_edit = await found(store, first.id)
    await revise(store, deleted(first))
    after_deletion = await found(store, first.id)

    assert after_edit == replace(first, content=OTHER, edited_at=NOW + 5)
    assert after_deletion == replace(first, content=None, gone=Gone.DELETED, expires_at=None)
    assert await store.history(TALK.id, before=None, after=0, limit=9) == [after_deletion, second]


async def test_a_message_that_is_not_there_cannot_be_held(store: Store) -> None:
    """It is answered as such."""
    async with store.begin() as transaction:
        assert await transaction.lock_message(message(1).id) is None


async def test_an_entry_of_an_edit_shows_the_message_as_it_is_now(store: Store) -> None:
    """As does the first one, which is read with the same words."""
    first = message(1)
    await store_messages(store, first)
    now = edited(first, OTHER, NOW + 5)
    await revise(store, now)
    await tell(store, first, NOW + 5)

    (page,) = await store.entries([Want(BOB, "s", 0, 9)])

    assert [(entry.pos, entry.type, entry.message) for entry in page] == [(1, "message", now), (2, EDITED, now)]


async def test_an_edit_is_retained_from_when_it_was_made(store: Store) -> None:
    """Not from when its message was: else a device that was away for a minute would find a hole."""
    first, second = message(1), message(2)
    await store_messages(store, first, second)
    await tell(store, first, NOW + 100)
    async with store.begin() as transaction:
        early = await transaction.trim(MessageId(first_id_at(NOW + 50)), 100)

    assert early == 4  # of the two messages, in two lanes
    assert (await store.heads([BOB]))[BOB, "s"] == LaneHead(3, 2)
    assert places((await store.entries([Want(BOB, "s", 2, 9)]))[0]) == [3]
    async with store.begin() as transaction:
        assert await transaction.trim(MessageId(first_id_at(NOW + 101)), 100) == 1


async def test_what_lies_behind_a_late_edit_waits_for_it(store: Store) -> None:
    """Lanes are dropped from their low end only."""
    first = message(1)
    await store_messages(store, first)
    await tell(store, first, NOW + 100)
    await store_messages(store, message(2))
    async with store.begin() as transaction:
        await transaction.trim(MessageId(first_id_at(NOW + 50)), 100)

    assert (await store.heads([BOB]))[BOB, "s"] == LaneHead(3, 1)


async def test_trimming_keeps_to_its_limit_where_there_are_edits(store: Store) -> None:
    """An edit lies far behind its message and is as old by its id; still not all in between goes at once."""
    messages = [message(seq) for seq in range(1, 31)]
    await store_messages(store, *messages)
    await tell(store, messages[0], NOW + 1)
    dropped = []
    async with store.begin() as transaction:
        while count := await transaction.trim(MessageId(first_id_at(NOW + 90)), 7):
            dropped.append(count)

    assert sum(dropped) == 61
    assert max(dropped) <= 7
    assert await store.entries([Want(BOB, "s", 0, 99), Want(ALICE, "s", 0, 99)]) == [[], []]


async def test_members_are_told_apart_by_what_is_hidden_from_them(store: Store) -> None:
    """All see all from the beginning, but for one who was erased."""
    await store_messages(store, message(1), message(2))
    async with store.begin() as transaction:
        before = await transaction.members_from(TALK.id)
        await transaction.forget_progress(BOB, TALK.id, 2)
        after = await transaction.members_from(TALK.id)
        assert await transaction.members_from(ConversationId("none")) == {}

    assert (before, after) == ({ALICE: 0, BOB: 0}, {ALICE: 0, BOB: 2})


async def test_a_thread_is_read_in_both_directions(store: Store) -> None:
    """The first message among the replies in its place; what belongs to others is left out."""
    messages = [message(seq) for seq in range(1, 9)]
    root = messages[1]
    await store_messages(store, messages[0])
    await thread(messages[1:6], store)
    await store_messages(store, *messages[6:])

    async def seqs(before: int | None = None, after: int | None = None, above: int = 0, limit: int = 9) -> list[int]:
        return [m.seq for m in await store.thread(root, before=before, after=after, above=above, limit=limit)]

    assert await seqs() == [6, 5, 4, 3, 2]
    assert await seqs(limit=2) == [6, 5]
    assert await seqs(before=4) == [3, 2]
    assert await seqs(before=2) == []
    assert await seqs(after=0) == [2, 3, 4, 5, 6]
    assert await seqs(after=0, limit=2) == [2, 3]
    assert await seqs(after=3) == [4, 5, 6]
    assert await seqs(after=6) == []
    assert await seqs(above=3) == [6, 5, 4]
    assert await seqs(after=0, above=3) == [4, 5, 6]
    assert [m.id for m in await store.thread(messages[0], before=None, after=None, limit=9)] == [messages[0].id]


async def test_what_waits_for_a_message_is_forgotten(store: Store) -> None:
    """Of the messages given, and of no other; none is nothing."""
    first, second = message(1, expires_at=NOW + 9), message(2, conversation=NEWS, sender=None)
    await store_messages(store, first)
    await store_messages(store, second, conversation=NEWS)
    async with store.begin() as transaction:
        await transaction.forget_waiting([])
        await transaction.forget_waiting([first, second])

    assert (await store.heads([BOB]))[BOB, "s"].seq == 2
