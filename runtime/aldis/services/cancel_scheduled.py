"""Taking a scheduled send back: before it is sent, or not at all.

It may be on its way to be sent at this moment. Whichever transaction comes first decides: once this one has dropped the
row, the one that would store its messages finds no lease and stores none.
"""

from aldis.domain.errors import Rejected
from aldis.domain.scheduling import Lease, ScheduledId, ScheduledState
from aldis.ports.store import Store, Transaction
from aldis.telemetry.metrics import Metrics


async def cancel_scheduled(owner: str, scheduled: ScheduledId, *, store: Store, metrics: Metrics) -> None:
    """Drop it, also when it has failed. Raises `not_found` for what is not the owner's, `conflict` once it is sent."""
    was_waiting = await store.run(lambda transaction: _cancel(owner, scheduled, transaction))
    if was_waiting:
        metrics.scheduled.labels(outcome="cancelled").inc()


async def _cancel(owner: str, scheduled: ScheduledId, transaction: Transaction) -> bool:
    row = await transaction.lock_scheduled(scheduled)
    is_failed = row is not None and row.state is ScheduledState.FAILED
    if not is_failed and await transaction.sent_from([Lease(owner, scheduled, 0)]):
        raise Rejected("conflict", "it has been sent already", field="scheduled_id")
    if row is None or row.owner != owner:
        raise Rejected("not_found", "you have no such scheduled send", field="scheduled_id")
    await transaction.drop_scheduled(scheduled)
    return not is_failed
