"""Sweeps: what is to leave, what has aged.

Each is a short transaction, safe to run in several places at once.
"""

from aldis.domain.ids import MessageId, first_id_at
from aldis.ports.broker import Broker
from aldis.ports.clock import Clock
from aldis.ports.store import Store
from aldis.services.announce import announce
from aldis.telemetry.metrics import Metrics

LEASE_MS = 30_000  # after which what a dead worker took is anybody's
RELAY_LEASE_MS = 15_000  # some times as long as an announcement may take
LIMIT = 500  # rows a transaction
RELAYED = 50  # outbox rows a transaction: each holds the events of a whole commit group
RECORDS_OUTLIVE_MS = 24 * 3600 * 1000


async def relay_outbox(*, store: Store, broker: Broker, clock: Clock, metrics: Metrics) -> int:
    """Announce what the outbox holds, then forget it; answer how many rows. Repeats after a failure."""
    now = clock.now_ms()
    async with store.begin() as transaction:
        rows = await transaction.lease_outbox(now, now + RELAY_LEASE_MS, RELAYED)
    metrics.outbox_age_seconds.set(max(0, now - rows[0].at) / 1000 if rows else 0)
    if not rows:
        return 0
    await announce(rows, store=store, broker=broker)
    async with store.begin() as transaction:
        await transaction.delete_outbox([row.id for row in rows])
    metrics.outbox_rows.inc(len(rows))
    return len(rows)


async def keep_up(*, store: Store, clock: Clock, retention_ms: int) -> int:
    """Let the store make room for what is to come, and let go of what has aged."""
    now = clock.now_ms()
    await store.keep_up(now, records_before=now - retention_ms - RECORDS_OUTLIVE_MS)
    return 0


async def retire(*, store: Store, clock: Clock, retention_ms: int) -> int:
    """Drop lane entries, records, failed scheduled sends and keys that have aged; answer how many of all.

    A message's records outlive its entries, so that its status is never told from half of what is known.
    """
    now = clock.now_ms()
    before, records_before = MessageId(first_id_at(now - retention_ms)), now - retention_ms - RECORDS_OUTLIVE_MS
    async with store.begin() as transaction:
        entries = await transaction.trim(before, LIMIT) + await transaction.trim_broadcasts(before, LIMIT)
    async with store.begin() as transaction:
        records = await transaction.delete_moves(records_before, LIMIT)
    async with store.begin() as transaction:
        records += await transaction.retire_records(before, records_before, LIMIT)
    async with store.begin() as transaction:
        await transaction.lock_lanes(await transaction.purged_lanes(records_before, LIMIT))
        records += await transaction.drop_purged_letters(records_before, LIMIT)
    async with store.begin() as transaction:
        records += await transaction.forget_failed(now, LIMIT)
        return entries + records + await transaction.delete_keys(now, LIMIT)
