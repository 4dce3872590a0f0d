"""Messages whose time is over: they fail for whoever has not had them by then. Their places stay, without content."""

from functools import partial

from aldis.domain.deliveries import Reason
from aldis.ports.clock import Clock
from aldis.ports.store import Store, Transaction
from aldis.services.fail_messages import Failed, fail_messages
from aldis.services.ring import Ringer
from aldis.telemetry.metrics import Metrics

LIMIT = 200  # messages in one transaction


async def expire_messages(*, store: Store, ringer: Ringer, clock: Clock, metrics: Metrics) -> int:
    """See to what has expired by now, all of it; answer how many messages have failed by it."""
    total, looked = 0, LIMIT
    while looked == LIMIT:
        looked, failed = await store.run(partial(_expire, now=clock.now_ms()))
        failed.count(metrics)
        await ringer.ring(failed.batches)
        total += len(failed.letters)
    return total


async def _expire(transaction: Transaction, now: int) -> tuple[int, Failed]:
    due = await transaction.due_expiries(now, LIMIT)
    if not due:
        return 0, Failed()
    ids = [message for _, message in due]
    await transaction.lock_lanes(await transaction.lanes_with(ids))
    failed = await fail_messages(await transaction.open_entries(ids), Reason.EXPIRED, transaction, now)
    await transaction.delete_expiries(due)
    return len(due), failed
