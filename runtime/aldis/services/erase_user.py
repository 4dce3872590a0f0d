"""Erasing a user: asked for in one transaction with its audit entry, done by a worker in bounded steps.

What the user wrote, and what was sent to him alone, loses its content and keeps its place; the others are told by
`message.deleted`. All that is about him alone is dropped. His id stays where it is part of others' conversations: it is
in their ids, and on their devices. Each step is one transaction that stores how far the erasure has come, so a worker
that dies is followed by any other; what he does meanwhile goes, too.
"""

from dataclasses import dataclass

from aldis.domain.audit import Action
from aldis.domain.erasures import ErasureState
from aldis.domain.errors import Rejected
from aldis.domain.ids import UserId
from aldis.ports.backplane import Disconnect, Ring
from aldis.ports.clock import Clock
from aldis.ports.erasures import Erasure
from aldis.ports.store import Store, Transaction
from aldis.services.forget_drafts import forget_drafts
from aldis.services.purge_messages import purge_window
from aldis.services.ring import Ringer

ROWS = 500  # in one transaction
MESSAGES = 200  # looked at in one transaction: as many as a group of sends stores
FORBIDDEN = 4403  # how the sockets of one who is erased are closed
SCRUB_SECONDS = 1.0  # until the database's files are tried again, when somebody was reading


_AT_ITS_END = frozenset({ErasureState.FILES, ErasureState.DONE})  # from where it begins anew when it is asked again


@dataclass(frozen=True, slots=True)
class _Step:
    """How far it has come now, and who is to be told."""

    erasure: Erasure
    rings: tuple[Ring, ...] = ()


async def request_erasure(user: UserId, *, actor: str, store: Store, clock: Clock) -> Erasure:
    """Have a user erased; asking again while it is being done changes nothing, afterwards it begins anew."""
    now = clock.now_ms()
    async with store.begin() as transaction:
        present = await transaction.erasure_of(user)
        if present is not None and present.state not in _AT_ITS_END:
            return present
        fresh = Erasure(user, ErasureState.MESSAGES, "", 0, now, now)
        await transaction.put_erasure(fresh)
        await transaction.put_audit(actor, Action.USER_ERASE, user, {}, now)
    return fresh


async def find_erasure(user: UserId, *, store: Store) -> Erasure:
    """How far it has come."""
    erasure = await store.erasure(user)
    if erasure is None:
        raise Rejected("not_found", f"nobody has asked to erase {user}", field="user")
    return erasure


async def erase_all(*, store: Store, ringer: Ringer, clock: Clock) -> int:
    """Erase whoever is to be erased; answer in how many steps."""
    steps = 0
    while await erase_next(store=store, ringer=ringer, clock=clock):
        steps += 1
    return steps


async def erase_next(*, store: Store, ringer: Ringer, clock: Clock) -> int:
    """Take one step of the oldest erasure; answer whether there was one."""
    waiting = await store.next_erasure()
    if waiting is None:
        return 0
    if waiting.state is ErasureState.FILES:
        await _finish(waiting, store=store, clock=clock)
        return 1
    now = clock.now_ms()

    async def recipe(transaction: Transaction) -> tuple[Ring, ...]:
        erasure = await transaction.erasure_of(waiting.user)
        if erasure is None or erasure.state is not waiting.state:
            return ()  # another worker has come further
        step = await _step(erasure, transaction, now)
        await transaction.put_erasure(step.erasure._replace(updated_at=now))
        return step.rings

    rings = await store.run(recipe)
    await ringer.ring([Disconnect(waiting.user, None, FORBIDDEN), *rings])
    return 1


async def _step(erasure: Erasure, transaction: Transaction, now: int) -> _Step:
    match erasure.state:
        case ErasureState.MESSAGES:
            return await _purge(erasure, transaction, now)
        case ErasureState.SCHEDULED:
            after = await forget_drafts(erasure.user, erasure.after, transaction)
            if after is not None:
                return _Step(erasure._replace(after=after))
            return _Step(erasure._replace(state=ErasureState.ROWS, after=""))
        case _:
            return await _forget(erasure, transaction)


async def _purge(erasure: Erasure, transaction: Transaction, now: int) -> _Step:
    found = await transaction.next_unerased(erasure.user, erasure.after)
    if found is None:
        return _Step(erasure._replace(state=ErasureState.SCHEDULED, after=""))
    high = min(found.looked + MESSAGES, found.head)
    purged, batches = await purge_window(erasure.user, found.conversation, found.looked, high, transaction, now)
    await transaction.forget_progress(erasure.user, found.conversation, high)
    after = found.conversation if high == found.head else erasure.after
    return _Step(erasure._replace(after=after, purged=erasure.purged + purged), tuple(batches))


async def _forget(erasure: Erasure, transaction: Transaction) -> _Step:
    """Drop rows; the last transaction sees that nothing has come meanwhile, or begins again with what has."""
    if await transaction.forget_rows(erasure.user, ROWS):
        return _Step(erasure)
    if await transaction.next_unerased(erasure.user, "") is not None:
        return _Step(erasure._replace(state=ErasureState.MESSAGES, after=""))
    await transaction.forget_user(erasure.user)
    return _Step(erasure._replace(state=ErasureState.FILES))


async def _finish(erasure: Erasure, *, store: Store, clock: Clock) -> None:
    while not await store.scrub():
        await clock.sleep(SCRUB_SECONDS)
    async with store.begin() as transaction:
        if await transaction.erasure_of(erasure.user) == erasure:  # else somebody has asked again meanwhile
            await transaction.put_erasure(erasure._replace(state=ErasureState.DONE, updated_at=clock.now_ms()))
