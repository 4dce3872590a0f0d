"""Blocking: a user does not want to hear from another. From the commit on neither can write to the other.

Whoever knows of the two being able to is rung, so that typing and presence between them end at once as well.
"""

from aldis.domain.errors import Rejected
from aldis.domain.ids import UserId
from aldis.ports.backplane import Parting
from aldis.ports.clock import Clock
from aldis.ports.relations import Block
from aldis.ports.store import Store, Transaction
from aldis.services.pages import Page
from aldis.services.ring import Ringer

MAX_BLOCKS = 1_000  # of one user


async def block_user(user: UserId, other: UserId, *, store: Store, ringer: Ringer, clock: Clock) -> None:
    """Let `user` block `other`; again changes nothing. Raises `Rejected` for oneself, and beyond `MAX_BLOCKS`."""
    if user == other:
        raise Rejected("bad_request", "nobody can block himself", field="user")
    now_ms = clock.now_ms()

    async def recipe(transaction: Transaction) -> bool:
        if not await transaction.put_block(user, other, now_ms):
            return False
        if await transaction.count_blocks(user, MAX_BLOCKS + 1) > MAX_BLOCKS:
            raise Rejected("too_large", f"a user blocks at most {MAX_BLOCKS} others", field="user")
        return True

    if await store.run(recipe):
        await _part(user, other, ringer)


async def unblock_user(user: UserId, other: UserId, *, store: Store, ringer: Ringer) -> None:
    """Take a block away; where there is none nothing changes."""

    async def recipe(transaction: Transaction) -> bool:
        return await transaction.delete_block(user, other)

    if await store.run(recipe):
        await _part(user, other, ringer)


async def find_block(user: UserId, other: UserId, *, store: Store) -> Block:
    """The user's block of `other`; raises `Rejected("not_found")` when there is none."""
    block = await store.block(user, other)
    if block is None:
        raise Rejected("not_found", "you have not blocked this user", field="user")
    return block


async def list_blocks(user: UserId, *, after: UserId | None = None, limit: int, store: Store) -> Page[Block, UserId]:
    """Whom the user has blocked, by name."""
    found = await store.blocks(user, after, limit + 1)
    items = found[:limit]
    return Page(items=items, next=items[-1].blocked if len(found) > limit else None)


async def _part(user: UserId, other: UserId, ringer: Ringer) -> None:
    await ringer.ring([Parting(user, other), Parting(other, user)])
