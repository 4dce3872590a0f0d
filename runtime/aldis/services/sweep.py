"""Sweeps: what is due again, what is to leave, what has aged.

Each is a short transaction, safe to run in several places at once.
"""

import json
import random
from collections.abc import Sequence

from aldis.domain.ids import MessageId, UserId, first_id_at
from aldis.domain.retry import RetryPolicy
from aldis.domain.streams import Lane
from aldis.domain.work import Poison
from aldis.ports.backplane import Knock
from aldis.ports.broker import Broker
from aldis.ports.clock import Clock
from aldis.ports.store import Due, Store
from aldis.services.announce import announce
from aldis.services.ring import Ringer
from aldis.telemetry.metrics import Metrics

LEASE_MS = 30_000  # after which what a dead worker took is anybody's
RELAY_LEASE_MS = 15_000  # some times as long as an announcement may take
LIMIT = 500  # rows a transaction
RELAYED = 50  # outbox rows a transaction: each holds the events of a whole commit group
MOVES_OUTLIVE_MS = 24 * 3600 * 1000
DELIVER = "deliver"  # the queue of lanes that are to be rung


async def hand_out_due(*, store: Store, broker: Broker, clock: Clock) -> int:
    """Lease the lanes that are due and put them into the broker as one item; answer how many there were."""
    now = clock.now_ms()
    async with store.begin() as transaction:
        due = await transaction.lease_due(now, now + LEASE_MS, LIMIT)
    if due:
        await broker.publish(DELIVER, encode_due(due))
    return len(due)


async def ring_due(item: bytes, *, store: Store, ringer: Ringer, clock: Clock, policy: RetryPolicy) -> None:
    """Ring for the lanes of an item, and store when each is to be rung again."""
    due = decode_due(item)
    await ringer.ring([Knock(user) for user in sorted({lane.user for lane in due})])
    now = clock.now_ms()
    rung: list[tuple[UserId, Lane, int, int | None]] = []
    for lane in due:
        attempt = lane.attempt + 1
        wait = policy.delay_ms(attempt, random.random())  # noqa: S311 - jitter
        rung.append((lane.user, lane.lane, attempt, now + wait if wait is not None else None))
    async with store.begin() as transaction:
        await transaction.settle_due(rung)


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
    await store.keep_up(now, records_before=now - retention_ms - MOVES_OUTLIVE_MS)
    return 0


async def retire(*, store: Store, clock: Clock, retention_ms: int) -> int:
    """Drop lane entries, records of moves, failed scheduled sends and keys that have aged; answer how many of all.

    A message's moves outlive its entries, so that its status is never told from half of what is known.
    """
    now = clock.now_ms()
    async with store.begin() as transaction:
        before = MessageId(first_id_at(now - retention_ms))
        entries = await transaction.trim(before, LIMIT) + await transaction.trim_broadcasts(before, LIMIT)
    async with store.begin() as transaction:
        moves = await transaction.delete_moves(now - retention_ms - MOVES_OUTLIVE_MS, LIMIT)
    async with store.begin() as transaction:
        failed = await transaction.forget_failed(now, LIMIT)
        return entries + moves + failed + await transaction.delete_keys(now, LIMIT)


def encode_due(due: Sequence[Due]) -> bytes:
    """Lanes as one item of work."""
    return json.dumps([list(lane) for lane in due]).encode()


def decode_due(item: bytes) -> list[Due]:
    """Lanes out of an item. Raises `Poison` when it holds something else."""
    try:
        return [
            Due(UserId(user), "e" if lane == "e" else "s", int(attempt)) for user, lane, attempt in json.loads(item)
        ]
    except (ValueError, TypeError) as error:
        raise Poison("the item holds no lanes") from error
