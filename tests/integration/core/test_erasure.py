"""Erasing a user: nothing of his contents is left, in any table or file; others lose nothing of theirs."""

from pathlib import Path
from typing import cast

from sqlalchemy import insert, select

from aldis.adapters.sql import schema
from aldis.adapters.sql.store import SqlTransaction
from aldis.domain.content import text_content
from aldis.domain.cursors import Cursor, Positions
from aldis.domain.erasures import ErasureState
from aldis.domain.ids import UserId
from aldis.domain.messages import Gone
from aldis.domain.streams import Priority
from aldis.ports.administration import AuditFilter
from aldis.ports.backplane import Disconnect
from aldis.services import erase_user
from aldis.services.erase_user import erase_all, erase_next, request_erasure
from aldis.services.list_conversations import list_conversations
from aldis.services.read_history import read_history
from aldis.services.ring import Ringer
from integration.core.commands import ALICE, BOB, CAROL, chat, into, news_of, notification, talk
from integration.core.running_core import Core, event_json, open_core
from integration.core.tables import everything, execute, files_with

SECRET = "sekrit"
LONG = f"{SECRET} " * 2_000  # fills pages of its own


def ringer_of(core: Core) -> Ringer:
    return Ringer(presence=core.doorbell, backplane=core.doorbell)


async def erase(core: Core, user: UserId = BOB) -> int:
    """Have a user erased, to the end; in how many steps."""
    await request_erasure(user, actor="backend:ops", store=core.store, clock=core.clock)
    return await erase_all(store=core.store, ringer=ringer_of(core), clock=core.clock)


async def live(core: Core) -> None:
    """Bob chats with two, gets notifications, answers, reads, sends from two devices."""
    for user in (ALICE, BOB, CAROL):
        await core.connect(user, "phone")
    (first,) = await core.store_all(chat("from alice", client_id="alice-1"))
    await core.store_all(chat(f"{SECRET} answer", sender=BOB, to=ALICE, reply_to=first.message_id, client_id=SECRET))
    await core.store_all(*[chat(f"{SECRET} {number}", sender=BOB, to=CAROL) for number in range(30)])
    await core.store_all(chat(LONG, sender=BOB, to=ALICE, priority=Priority.HIGH))
    await core.store_all(*[notification(f"{SECRET} news {number}", client_id=f"n-{number}") for number in range(20)])
    await core.ack(BOB, "phone", {"s": 5})
    await core.read(BOB, talk(ALICE, BOB), 1)
    await core.ack(ALICE, "phone", {"s": 1})


async def test_nothing_of_an_erased_user_can_be_read_anywhere(url: str, tmp_path: Path) -> None:
    """Not in any column of any table, and not in the bytes of the database's files."""
    async with open_core(url) as core:
        await live(core)
        assert files_with(tmp_path, SECRET), "it was there"

        await erase(core)

        assert [table for table, value in everything(tmp_path / "aldis.db") if SECRET in value] == []
        assert files_with(tmp_path, SECRET) == []
    assert files_with(tmp_path, SECRET) == []


async def test_no_table_about_one_user_names_him(url: str, tmp_path: Path) -> None:
    """His id stays where it is part of others' conversations, of positions and of records, and nowhere else."""
    async with open_core(url) as core:
        await live(core)
        await execute(
            core,
            *(
                insert(schema.blocks).values(user_id="bob", blocked="mallory", created_at=1),
                insert(schema.blocks).values(user_id="carol", blocked="bob", created_at=1),
                insert(schema.attempts).values(
                    user_id="bob", lane="s", channel="chat", low=0, high=1, attempt=1, outcome="rung", at=1
                ),
                insert(schema.rings).values(
                    user_id="bob", lane="s", channel="chat", low=0, high=1, attempt=1, due_at=10**15, started_at=1
                ),
                insert(schema.dead_letters).values(
                    id="d1",
                    message_id="m1",
                    recipient="bob",
                    channel="c",
                    reason="r",
                    lane="s",
                    seq=1,
                    attempts=1,
                    failed_at=1,
                ),
                insert(schema.scheduled).values(
                    id="s1",
                    scope="b:shop",
                    due_at=10**15,
                    state="waiting",
                    created_at=1,
                    draft='{"to":{"user":"bob"},"content":{"type":"text","text":"sekrit"}}',
                ),
            ),
        )

        await erase(core)

        tables = {table for table, value in everything(tmp_path / "aldis.db") if "bob" in value}
        assert tables <= {"members", "messages", "stream_heads", "erasures", "audit", "outbox"}


async def test_dead_letters_of_what_he_wrote_go_and_are_no_longer_counted(core: Core) -> None:
    """A replay would have nothing to show; the lane's count of what has failed in it stays right."""
    (lost,) = await core.store_all(chat("lost", sender=BOB, to=ALICE))
    letter = insert(schema.dead_letters).values(
        id="d1", message_id=lost.message_id, recipient="alice", channel="chat", reason="r", lane="s", seq=1,
        attempts=1, failed_at=1,
    )  # fmt: skip
    await execute(
        core, letter, schema.stream_heads.update().where(schema.stream_heads.c.source == "s").values(failed=1)
    )

    await erase(core)

    async with core.store.begin() as transaction:
        connection = cast("SqlTransaction", transaction)._connection
        left = await connection.execute(select(schema.dead_letters))
        counts = await connection.execute(
            select(schema.stream_heads.c.failed).where(schema.stream_heads.c.source == "s")
        )
        assert (left.all(), {count for (count,) in counts}) == ([], {0})


async def test_what_he_wrote_keeps_its_place(core: Core) -> None:
    """His messages are there without content, others' answers point where they did, and others' contents stay."""
    (first,) = await core.store_all(chat("from bob", sender=BOB, to=ALICE))
    (answer,) = await core.store_all(chat("from alice", reply_to=first.message_id))

    await erase(core)

    page = await read_history(talk(ALICE, BOB), ALICE, limit=10, store=core.store)
    assert [(m.seq, m.content, m.gone, m.reply_to) for m in page.items] == [
        (2, text_content("from alice"), None, first.message_id),
        (1, None, Gone.PURGED, None),
    ]
    assert page.items[0].id == answer.message_id


async def test_the_others_are_told(core: Core) -> None:
    """Each device of another member gets an event for each message that is gone, and no receipt or ring follows it."""
    await core.store_all(chat("one", sender=BOB, to=ALICE), chat("two", sender=BOB, to=ALICE))
    await core.connect(ALICE, "phone")
    await core.ack(ALICE, "phone", {"s": 2})

    await erase(core)

    events = [event_json(event) for event in await core.page(ALICE, "s", after=2)]
    assert [(e["type"], e["message"]["gone"], e["message"]["content"], e["message"]["seq"]) for e in events] == [
        ("message.deleted", "purged", None, 1),
        ("message.deleted", "purged", None, 2),
    ]
    assert await core.due() == set()


async def test_his_connections_are_closed(core: Core) -> None:
    """With a code that says not to come back."""
    await core.store_all(chat(sender=BOB, to=ALICE))

    await erase(core)

    closed = [ring for ring in core.doorbell.rung if isinstance(ring, Disconnect)]
    assert {(ring.user, ring.connection, ring.code) for ring in closed} == {(BOB, None, 4403)}


async def test_others_are_told_nothing_of_him_any_more(core: Core) -> None:
    """How far he had come in a conversation is about him: it leaves the others' state."""
    await core.store_all(chat())
    await core.connect(BOB, "phone")
    await core.ack(BOB, "phone", {"s": 1})
    assert await core.told(ALICE, "receipt")

    await erase(core)

    assert await core.told(ALICE, "receipt") == []


async def test_positions_are_never_given_again(core: Core) -> None:
    """A cursor from before is refused or stands at its head; what comes next has the position after the last."""
    await core.store_all(*[chat(str(number)) for number in range(3)])
    before = await core.head(BOB, "s")

    await erase(core)
    await core.store_all(chat("to a stranger"))

    after = await core.head(BOB, "s")
    assert (before.seq, after.seq, after.floor) == (3, 4, 3)
    old = await core.connect(BOB, "phone", Cursor(core.store.epoch, Positions(s=1)))
    assert not old.recovered


async def test_whoever_comes_back_is_a_stranger(core: Core) -> None:
    """A token that is still valid opens an empty place: no history, no list, and what comes is told."""
    await core.store_all(chat("for the bob who was"))
    await erase(core)

    assert (await list_conversations(BOB, limit=10, store=core.store)).items == []
    assert (await read_history(talk(ALICE, BOB), BOB, limit=10, store=core.store)).items == []
    assert await core.badge(BOB) == 0

    await core.store_all(chat("for the bob who is"))

    assert await core.badge(BOB) == 1
    assert await core.texts(BOB, "s", after=1) == ["for the bob who is"]
    page = await read_history(talk(ALICE, BOB), BOB, limit=10, store=core.store)
    assert [message.seq for message in page.items] == [2]
    (row,) = (await list_conversations(BOB, limit=10, store=core.store)).items
    assert row.mark.unread == 1


async def test_it_goes_on_where_another_worker_stopped(url: str, tmp_path: Path) -> None:
    """Killed after any step and begun again by another process, it ends the same."""
    async with open_core(url) as core:
        await live(core)
        await request_erasure(BOB, actor="backend:ops", store=core.store, clock=core.clock)
    states: list[ErasureState] = []
    purged = 0
    while ErasureState.DONE not in states:
        async with open_core(url) as core:
            await erase_next(store=core.store, ringer=ringer_of(core), clock=core.clock)
            erasure = await core.store.erasure(BOB)
            assert erasure is not None
            states.append(erasure.state)
            purged = erasure.purged
        assert len(states) < 100, "it comes to an end"

    assert purged == 52
    assert files_with(tmp_path, SECRET) == []


async def test_what_he_writes_meanwhile_goes_too(core: Core) -> None:
    """Nothing that was stored before the end of it survives it."""
    await core.store_all(chat("one", sender=BOB, to=ALICE))
    await request_erasure(BOB, actor="backend:ops", store=core.store, clock=core.clock)
    while (erasure := await core.store.erasure(BOB)) is not None and erasure.state is not ErasureState.ROWS:
        await erase_next(store=core.store, ringer=ringer_of(core), clock=core.clock)

    await core.store_all(chat("two", sender=BOB, to=ALICE), notification("three"))
    await erase_all(store=core.store, ringer=ringer_of(core), clock=core.clock)

    for conversation in (talk(ALICE, BOB), news_of(BOB)):
        contents = [m.content for m in await core.store.history(conversation, before=None, after=None, limit=10)]
        assert set(contents) == {None}


async def test_many_messages_take_many_steps(core: Core) -> None:
    """Each step is bounded, whatever there is."""
    for _ in range(3):
        await core.store_all(*[chat("x", sender=BOB, to=ALICE) for _ in range(150)])

    steps = await erase(core)

    erasure = await core.store.erasure(BOB)
    assert erasure is not None
    assert erasure.purged == 450
    assert steps >= 450 // erase_user.MESSAGES


async def test_a_repeat_of_an_old_send_is_a_new_message(core: Core) -> None:
    """His idempotency keys are gone with him, so that nothing leads back to what he wrote."""
    (before,) = await core.store_all(chat("one", sender=BOB, to=ALICE, client_id="c1"))

    await erase(core)
    (after,) = await core.store_all(chat("one", sender=BOB, to=ALICE, client_id="c1"))

    assert not after.duplicate
    assert after.message_id != before.message_id


async def test_the_others_go_on_writing_to_each_other(core: Core) -> None:
    """Nothing changes for those who have nothing to do with him."""
    await core.store_all(chat("to carol", to=CAROL), chat("to bob"))

    await erase(core)
    (stored,) = await core.store_all(into(talk(ALICE, CAROL), "again"))

    assert stored.seq == 2
    assert await core.texts(CAROL, "s") == ["to carol", "again"]


async def test_asking_twice_erases_once(core: Core) -> None:
    """While it runs, it is the same; when it is done, it begins anew; both are counted in the audit log."""
    await request_erasure(BOB, actor="backend:ops", store=core.store, clock=core.clock)
    await request_erasure(BOB, actor="backend:ops", store=core.store, clock=core.clock)
    await erase_all(store=core.store, ringer=ringer_of(core), clock=core.clock)
    again = await request_erasure(BOB, actor="backend:ops", store=core.store, clock=core.clock)

    assert again.state is ErasureState.MESSAGES
    entries, _ = await core.store.audit_entries(AuditFilter(), None, 10)
    assert [(entry.action, entry.target) for entry in entries] == [("user.erase", "bob")] * 2
