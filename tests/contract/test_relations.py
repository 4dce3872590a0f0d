"""What every store promises of relations (`aldis.ports.relations`)."""

from collections.abc import AsyncIterator

import pytest

from aldis.adapters.sql.store import open_sql_store
from aldis.domain.channels import Channel, ChannelType
from aldis.domain.ids import ConversationId, UserId
from aldis.ports.relations import Block, MemberSettings, Pair
from aldis.ports.store import Conversation, Store, Transaction
from contract.store_rows import ALICE, BOB, NEWS, NOW, TALK, message, store_messages

CAROL, DAVE = UserId("carol"), UserId("dave")
OTHER_TALK = Conversation(ConversationId("other"), TALK.kind, "chat", (ALICE, CAROL))


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with open_sql_store(database_url, now_ms=NOW) as store:
        yield store


async def block(store: Store, user: UserId, other: UserId, at: int = NOW) -> bool:
    async with store.begin() as transaction:
        return await transaction.put_block(user, other, at)


async def blocked(store: Store, *pairs: Pair) -> set[Pair]:
    """Asked as the committer asks: within one recipe."""

    async def recipe(transaction: Transaction) -> set[Pair]:
        return await transaction.blocked_pairs(pairs)

    return await store.run(recipe)


async def test_a_block_stands_between_both(store: Store) -> None:
    """Whoever made it, and whoever is named first; other pairs are left alone."""
    assert await blocked(store, (ALICE, BOB)) == set()
    assert await block(store, ALICE, BOB)

    assert await blocked(store, (ALICE, BOB), (BOB, CAROL), (ALICE, CAROL)) == {(ALICE, BOB)}
    assert await blocked(store, (BOB, ALICE)) == {(BOB, ALICE)}
    assert await blocked(store) == set()


async def test_a_block_is_made_once_and_keeps_its_time(store: Store) -> None:
    """A second one says that it is there already."""
    assert await block(store, ALICE, BOB)
    assert not await block(store, ALICE, BOB, NOW + 1)

    assert await store.block(ALICE, BOB) == Block(BOB, NOW)
    assert await store.block(BOB, ALICE) is None


async def test_each_takes_away_only_his_own_block(store: Store) -> None:
    """Where both have blocked, one of the two blocks is enough."""
    await block(store, ALICE, BOB)
    await block(store, BOB, ALICE)

    async with store.begin() as transaction:
        assert await transaction.delete_block(ALICE, BOB)
        assert not await transaction.delete_block(ALICE, BOB)
    assert await blocked(store, (ALICE, BOB)) == {(ALICE, BOB)}

    async with store.begin() as transaction:
        assert await transaction.delete_block(BOB, ALICE)
    assert await blocked(store, (ALICE, BOB)) == set()


async def test_a_block_that_was_undone_is_none(store: Store) -> None:
    """What a transaction put that failed is not there for those that follow."""
    assert await blocked(store, (ALICE, BOB)) == set()

    async def recipe(transaction: Transaction) -> None:
        await transaction.put_block(ALICE, BOB, NOW)
        raise LookupError

    with pytest.raises(LookupError):
        await store.run(recipe)

    assert await blocked(store, (ALICE, BOB)) == set()


async def test_blocks_are_listed_by_name_and_counted_up_to_a_bound(store: Store) -> None:
    """Page by page, each once, those of others left out."""
    for other in (DAVE, BOB, CAROL):
        await block(store, ALICE, other)
    await block(store, BOB, ALICE)

    first = await store.blocks(ALICE, None, 2)
    second = await store.blocks(ALICE, first[-1].blocked, 2)
    async with store.begin() as transaction:
        counts = [await transaction.count_blocks(ALICE, most) for most in (2, 10)]

    assert [each.blocked for each in first + second] == [BOB, CAROL, DAVE]
    assert counts == [2, 3]


async def test_acquaintances_share_a_chat_without_a_block(store: Store) -> None:
    """Neither strangers, nor oneself, nor those who hear the same notifications."""
    await store_messages(store, message())
    await store_messages(store, message(conversation=OTHER_TALK), conversation=OTHER_TALK)
    await store_messages(store, message(sender=None, conversation=NEWS), conversation=NEWS)
    everyone = [ALICE, BOB, CAROL, DAVE]

    assert await store.acquaintances(ALICE, everyone) == {BOB, CAROL}
    assert await store.acquaintances(BOB, everyone) == {ALICE}
    assert await store.acquaintances(DAVE, everyone) == set()
    assert await store.acquaintances(ALICE, []) == set()
    await block(store, CAROL, ALICE)
    assert await store.acquaintances(ALICE, everyone) == {BOB}
    assert await store.acquaintances(CAROL, everyone) == set()


async def test_talks_tell_of_a_block_between_their_members(store: Store) -> None:
    """Ids that are not there are left out."""
    await store_messages(store, message())
    await store_messages(store, message(sender=None, conversation=NEWS), conversation=NEWS)
    ids = [TALK.id, NEWS.id, ConversationId("none")]

    found = await store.talks(ids)
    await block(store, BOB, ALICE)

    assert {each: (set(found[each][0].members), found[each][1]) for each in found} == {
        TALK.id: ({ALICE, BOB}, False),
        NEWS.id: ({BOB}, False),
    }
    assert {each: row[1] for each, row in (await store.talks(ids)).items()} == {TALK.id: True, NEWS.id: False}


async def test_a_member_sets_a_conversation_for_himself(store: Store) -> None:
    """The other member's settings, and strangers, are not touched; lists can be filtered by it."""
    await store_messages(store, message())
    wanted = MemberSettings(muted=True, archived=True)
    async with store.begin() as transaction:
        assert await transaction.member_settings(TALK.id, ALICE) == MemberSettings(muted=False, archived=False)
        await transaction.put_member_settings(TALK.id, ALICE, wanted)
        await transaction.put_member_settings(TALK.id, CAROL, wanted)
        assert await transaction.member_settings(TALK.id, ALICE) == wanted
        assert await transaction.member_settings(TALK.id, CAROL) is None

    hers = await store.conversation_of(ALICE, TALK.id)
    his = await store.conversation_of(BOB, TALK.id)
    assert hers is not None and (hers.muted, hers.archived, hers.mark.head_seq) == (True, True, 1)  # noqa: PT018
    assert his is not None and (his.muted, his.archived) == (False, False)  # noqa: PT018
    assert await store.conversation_of(CAROL, TALK.id) is None
    assert len(await store.conversations_of(ALICE, None, None, 9, archived=True)) == 1
    assert await store.conversations_of(ALICE, None, None, 9, archived=False) == []
    assert len(await store.conversations_of(BOB, None, None, 9, archived=False)) == 1


async def test_the_version_of_the_channels_changes_with_each_of_them(store: Store) -> None:
    """Also when the clock stands still, or has gone back."""
    versions = {await store.channels_version()}
    changes = [("news", "", NOW), ("news", "News", NOW), ("news", "New", NOW - 9), ("shop", "", NOW)]
    for name, display_name, at in changes:
        channel = Channel(name=name, type=ChannelType.NOTIFICATION, display_name=display_name)
        async with store.begin() as transaction:
            await transaction.put_channel(channel, at)
        versions.add(await store.channels_version())

    assert len(versions) == 1 + len(changes)
    assert await store.channels_version() in versions
