from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldis_client.cursor import Cursor
from aldis_client.errors import OrderViolation
from aldis_client.events import Event
from aldis_client.inbox import Inbox, sift
from aldis_client.stats import Stats
from aldis_client.store import MemoryStore

START = Cursor("k", {})


def happened(source: str, *positions: int, kind: str = "message") -> list[Event]:
    return [Event(source, at, kind, {"message": {"id": f"m{at}", "seq": at}}) for at in positions]


class BrokenStore(MemoryStore):
    async def apply(self, events: Sequence[Event], cursor: Cursor) -> None:
        raise OSError("disk full")


async def inbox_at(cursor: Cursor, stats: Stats | None = None, store: MemoryStore | None = None) -> Inbox:
    inbox = Inbox(store=store or MemoryStore(), stats=stats or Stats())
    await inbox.start(cursor)
    return inbox


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10)), max_size=30))
def test_each_event_is_applied_once_and_in_order(deliveries: list[tuple[int, int]]) -> None:
    """Whatever is delivered again, from wherever the server resumes, positions come out one by one."""
    cursor, applied = START, list[int]()

    for back, count in deliveries:
        first = max(1, cursor.at("s") + 1 - back)
        batch = sift(cursor, happened("s", *range(first, first + count)))
        cursor = batch.cursor
        applied += [event.position for event in batch.events]

    assert applied == list(range(1, len(applied) + 1))


@pytest.mark.parametrize("source", ["e", "s"])
@pytest.mark.parametrize("positions", [(2,), (1, 3), (1, 2, 9)])
def test_a_gapless_source_must_not_jump(source: str, positions: tuple[int, ...]) -> None:
    """In the user's own lanes a missing position is a violation, wherever in the frame it is."""
    with pytest.raises(OrderViolation) as jump:
        sift(START, happened(source, *positions))

    assert jump.value.source == source
    assert jump.value.position == positions[-1]


@pytest.mark.parametrize("source", ["be", "bs", "r"])
def test_the_other_sources_may_jump(source: str) -> None:
    """Broadcasts are filtered and states replaced, so a device sees jumps; order holds all the same."""
    batch = sift(START, happened(source, 4, 9, 7))

    assert [event.position for event in batch.events] == [4, 9]
    assert batch.cursor.at(source) == 9
    assert batch.duplicates == 1


async def test_a_jump_applies_nothing_of_its_frame() -> None:
    """What a violation left out must still be asked for, so the cursor stays before it."""
    stats = Stats()
    inbox = await inbox_at(START, stats)

    with pytest.raises(OrderViolation):
        await inbox.receive(happened("s", 1, 3))

    assert inbox.cursor == START
    assert stats.order_violations == 1


async def test_a_jump_that_resuming_does_not_mend_is_taken() -> None:
    """When the server says the same again there is nothing between, and waiting for it would never end."""
    stats = Stats()
    inbox = await inbox_at(START, stats)
    with pytest.raises(OrderViolation):
        await inbox.receive(happened("s", 5))

    applied = await inbox.receive(happened("s", 5))

    assert [event.position for event in applied] == [5]
    assert stats.order_violations == 2


async def test_what_cannot_be_stored_is_not_applied() -> None:
    """Store first: an error of the store leaves the cursor where it was."""
    inbox = Inbox(store=BrokenStore(), stats=Stats())
    inbox._cursor = START

    with pytest.raises(OSError, match="disk full"):
        await inbox.receive(happened("s", 1))

    assert inbox.cursor == START


async def test_an_unknown_type_moves_the_cursor_and_nothing_else() -> None:
    """A later server may say more; its news is passed over and not asked for again."""
    store = MemoryStore()
    inbox = await inbox_at(START, store=store)

    assert await inbox.receive(happened("s", 1, kind="poll.opened")) == ()
    assert store.cursor == START.advance("s", 1)
    assert store.messages == {}


async def test_reset_forgets_what_was_stored() -> None:
    """After the server could not resume, only its own cursor is left."""
    store = MemoryStore()
    inbox = await inbox_at(START, store=store)
    await inbox.receive(happened("s", 1, 2))

    await inbox.reset(Cursor("new", {"s": 1}))

    assert store.messages == {}
    assert inbox.cursor == store.cursor == Cursor("new", {"s": 1})
