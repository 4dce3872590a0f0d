"""Purging dead letters: they are no longer listed or replayed. Their messages have failed as before, and are kept.

A device that comes later still gets such a message, and its acknowledgement still turns the failure around.
"""

from typing import NamedTuple

from aldis.domain.audit import Action
from aldis.domain.errors import Rejected
from aldis.ports.clock import Clock
from aldis.ports.dead_letters import LetterFilter
from aldis.ports.store import Store, Transaction
from aldis.services.replay_dead_letters import told

BATCH = 1_000  # letters one call purges, in one transaction
WINDOW = 5_000  # rows looked at for them at once, beside those who write


class Purged(NamedTuple):
    """How many letters were purged, and whether more may fit: then call again."""

    purged: int
    more: bool


async def purge_dead_letters(
    wanted: LetterFilter, *, everything: bool, actor: str, store: Store, clock: Clock, window: int = WINDOW
) -> Purged:
    """Purge up to `BATCH` letters that fit, newest first. Without a filter only when `everything` is meant."""
    if wanted.is_empty and not everything:
        raise Rejected("bad_request", "give a filter, or all=true to purge every dead letter", field="all")
    now = clock.now_ms()
    ids, more = await _find(wanted, window, store)

    async def recipe(transaction: Transaction) -> Purged:
        purged = await transaction.purge_letters(ids, now)
        details = {**told(wanted), "purged": purged}
        await transaction.put_audit(actor, Action.DEAD_LETTER_DELETE, "*", details, now)
        return Purged(purged, more)

    return await store.run(recipe)


async def _find(wanted: LetterFilter, window: int, store: Store) -> tuple[list[str], bool]:
    """The first letters that fit, however many others lie between, and whether there may be more."""
    ids: list[str] = []
    before: str | None = None
    while len(ids) < BATCH:
        letters, before = await store.dead_letters(wanted, before, limit=BATCH - len(ids), window=window)
        ids += [letter.id for letter in letters]
        if before is None:
            return ids, False
    return ids, True


async def purge_one(letter_id: str, *, actor: str, store: Store, clock: Clock) -> None:
    """Purge one letter. Raises `Rejected("not_found")`."""
    now = clock.now_ms()

    async def recipe(transaction: Transaction) -> None:
        if not await transaction.purge_letters([letter_id], now):
            raise Rejected("not_found", "there is no such dead letter", field="id")
        await transaction.put_audit(actor, Action.DEAD_LETTER_DELETE, letter_id, {}, now)

    await store.run(recipe)
