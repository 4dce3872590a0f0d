"""What every store promises of scheduled sends (`aldis.ports.scheduling`)."""

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

import pytest

from aldis.adapters.sql.store import open_sql_store
from aldis.domain.ids import ConversationId, MessageId
from aldis.domain.scheduling import Lease, ScheduledId, ScheduledState, new_scheduled_id, sent_scope
from aldis.ports.scheduling import Failure, ScheduledSend
from aldis.ports.store import KeyClaim, Store, Transaction
from contract.store_rows import NOW, TALK, message, store_messages

T = TypeVar("T")
SHOP, PRESS = "b:shop", "b:press"
UNTIL = NOW + 10_000


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with open_sql_store(database_url, now_ms=NOW) as store:
        yield store


async def within(store: Store, work: Callable[[Transaction], Coroutine[Any, Any, T]]) -> T:
    """As the services ask: within one recipe."""
    return await store.run(work)


def waiting(due: int = NOW, *, owner: str = SHOP, created: int = NOW, draft: str = "{}") -> ScheduledSend:
    return ScheduledSend(new_scheduled_id(due), owner, due, draft, ScheduledState.WAITING, None, created)


async def put(store: Store, *sends: ScheduledSend) -> list[ScheduledId]:
    await within(store, lambda transaction: transaction.put_scheduled(sends))
    return [send.id for send in sends]


async def lease(store: Store, now: int = NOW, limit: int = 10) -> list[ScheduledSend]:
    return await within(store, lambda transaction: transaction.lease_scheduled(now, now + 10_000, limit))


async def held(store: Store, *leases: Lease) -> set[Lease]:
    return await within(store, lambda transaction: transaction.leases_held(leases))


async def test_what_waits_is_there_until_it_is_dropped(store: Store) -> None:
    """With all that it was put with."""
    send = waiting(NOW + 5, draft='{"text":"日本"}')
    await put(store, send)

    assert await store.scheduled(send.id) == send
    assert await store.scheduled(new_scheduled_id(NOW)) is None
    assert await store.next_scheduled() == NOW + 5


async def test_what_is_due_is_taken_in_the_order_of_its_time(store: Store) -> None:
    """Of those due together, first the one that was scheduled first, then the lower id."""
    later, together, first = waiting(NOW - 1, created=NOW - 9), waiting(NOW - 5, created=NOW - 7), waiting(NOW - 9)
    earlier = waiting(NOW - 5, created=NOW - 8)
    await put(store, later, together, first, earlier, waiting(NOW + 1))

    assert [send.id for send in await lease(store)] == [first.id, earlier.id, together.id, later.id]


async def test_what_is_leased_is_taken_by_nobody_else_until_the_lease_ends(store: Store) -> None:
    """In parts, and again afterwards."""
    ids = await put(store, waiting(NOW - 2), waiting(NOW - 1))

    assert [send.id for send in await lease(store, limit=1)] == ids[:1]
    assert [send.id for send in await lease(store)] == ids[1:]
    assert await lease(store, NOW + 9_999) == []
    assert [send.id for send in await lease(store, NOW + 10_000)] == ids


async def test_a_lease_ends_with_the_next_one(store: Store) -> None:
    """Whoever comes back late holds nothing."""
    await put(store, waiting())
    (late,) = await lease(store)
    (now,) = await lease(store, UNTIL)

    assert await held(store, late.lease, now.lease) == {now.lease}
    assert await within(store, lambda transaction: transaction.drop_leased([late.lease])) == 0
    assert await within(store, lambda transaction: transaction.drop_leased([now.lease])) == 1
    assert await held(store, now.lease) == set()
    assert await store.scheduled(now.id) is None


async def test_a_lease_ends_when_the_draft_changes(store: Store) -> None:
    """Nobody sends what he has read before; the new draft is taken up at once."""
    await put(store, waiting(), waiting(draft="keep"))
    changed, dropped = await lease(store)

    await within(store, lambda transaction: transaction.replace_drafts([(changed.id, "other"), (dropped.id, None)]))

    assert await held(store, changed.lease, dropped.lease) == set()
    assert [(send.id, send.draft) for send in await lease(store, NOW + 1)] == [(changed.id, "other")]


async def test_a_lease_names_its_owner(store: Store) -> None:
    """One made up for another owner holds nothing."""
    await put(store, waiting())
    (send,) = await lease(store)

    assert await held(store, send.lease._replace(owner=PRESS)) == set()


async def test_what_is_postponed_comes_back_then(store: Store) -> None:
    """Where the lease still holds; a stale one changes nothing."""
    await put(store, waiting())
    (send,) = await lease(store)
    stale = send.lease._replace(until=1)

    await within(store, lambda transaction: transaction.postpone_leased([stale], NOW))
    assert await lease(store, NOW + 1) == []
    await within(store, lambda transaction: transaction.postpone_leased([send.lease], NOW + 50))

    assert await held(store, send.lease) == set()
    assert await lease(store, NOW + 49) == []
    assert [again.id for again in await lease(store, NOW + 50)] == [send.id]


async def test_what_has_failed_is_kept_and_then_forgotten(store: Store) -> None:
    """With its reason; it is never due again. What waits stays."""
    await put(store, waiting(), waiting(NOW + 1))
    (send,) = await lease(store)
    failures = [
        Failure(send.lease._replace(until=1), "stale", "stale", NOW),
        Failure(send.lease, "left", '{"code":"forbidden"}', NOW + 100),
    ]

    assert await within(store, lambda transaction: transaction.fail_leased(failures)) == 1
    kept = await store.scheduled(send.id)

    assert kept is not None
    assert (kept.state, kept.reason, kept.draft) == (ScheduledState.FAILED, '{"code":"forbidden"}', "left")
    assert await held(store, send.lease) == set()
    assert [each.id for each in await lease(store, NOW + 50_000)] != [send.id]
    assert await within(store, lambda transaction: transaction.forget_failed(NOW + 99, 10)) == 0
    assert await within(store, lambda transaction: transaction.forget_failed(NOW + 100, 10)) == 1
    assert await store.scheduled(send.id) is None
    assert await store.count_waiting(10) == 1


async def test_one_is_locked_and_dropped_whoever_has_leased_it(store: Store) -> None:
    """Taking it back is stronger than a lease."""
    (scheduled,) = await put(store, waiting())
    (send,) = await lease(store)

    async def take_back(transaction: Transaction) -> ScheduledSend | None:
        found = await transaction.lock_scheduled(scheduled)
        await transaction.drop_scheduled(scheduled)
        return found

    assert await within(store, take_back) == send
    assert await held(store, send.lease) == set()
    assert await within(store, lambda transaction: transaction.lock_scheduled(scheduled)) is None


async def test_what_was_sent_is_known_by_its_keys(store: Store) -> None:
    """Of each send the conversations, and the messages, also when the row has gone."""
    sent, other = message(1), message(2)
    await store_messages(store, sent, other)
    scheduled, unsent = new_scheduled_id(NOW), new_scheduled_id(NOW)
    scope = sent_scope(SHOP, scheduled)
    claims = [KeyClaim(scope, TALK.id, sent.id, None, NOW + 1), KeyClaim("b:shop", "c:1", other.id, None, NOW + 1)]
    await within(store, lambda transaction: transaction.claim_keys(claims))
    leases = [Lease(SHOP, scheduled, 0), Lease(SHOP, unsent, 0), Lease(PRESS, scheduled, 0)]

    found = await within(store, lambda transaction: transaction.sent_from(leases))

    assert found == {leases[0]: {ConversationId(TALK.id)}}
    assert await store.sent_messages(SHOP, scheduled, 10) == [sent]
    assert await store.sent_messages(PRESS, scheduled, 10) == []
    assert await store.sent_messages(SHOP, unsent, 10) == []


async def test_an_owners_sends_are_listed_by_time(store: Store) -> None:
    """Page by page, those that failed among them, others' never."""
    late, soon, mid = waiting(NOW + 9), waiting(NOW - 3), waiting(NOW + 5)
    await put(store, late, soon, mid, waiting(NOW + 1, owner=PRESS))
    (failing,) = [send for send in await lease(store) if send.id == soon.id]
    await within(store, lambda transaction: transaction.fail_leased([Failure(failing.lease, "{}", "{}", NOW + 9)]))

    first = await store.scheduled_of(SHOP, None, 2)
    rest = await store.scheduled_of(SHOP, first[-1].id, 2)

    assert [send.id for send in first + rest] == [soon.id, mid.id, late.id]
    assert [send.state.value for send in first + rest] == ["failed", "waiting", "waiting"]


async def test_what_waits_is_counted_up_to_a_bound(store: Store) -> None:
    """The count costs no more than it is wanted to."""
    await put(store, *(waiting(NOW + number) for number in range(5)))

    assert (await store.count_waiting(10), await store.count_waiting(3)) == (5, 3)


async def test_nothing_is_nothing(store: Store) -> None:
    """Empty lists are no statements."""

    async def recipe(transaction: Transaction) -> None:
        await transaction.put_scheduled([])
        assert await transaction.drop_leased([]) == 0
        assert await transaction.fail_leased([]) == 0
        assert await transaction.sent_from([]) == {}
        await transaction.postpone_leased([], NOW)

    await within(store, recipe)
    assert await store.next_scheduled() is None
    assert await store.sent_messages(SHOP, ScheduledId(MessageId("x")), 1) == []
