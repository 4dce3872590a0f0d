"""Ringing for stretches that are due, and storing what came of it: the next ring, or that they have failed.

An item may come twice, late or after its stretch was closed: an attempt is stored once, and nothing else is.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from aldis.domain.deliveries import Outcome, Reason
from aldis.domain.ids import UserId
from aldis.domain.retry import DEFAULT_RETRY, RetryPolicies
from aldis.ports.clock import Clock
from aldis.ports.deliveries import Attempt, OpenRing, Rung
from aldis.ports.store import Store, Transaction
from aldis.services.fail_messages import Failed, fail_messages
from aldis.services.hand_out_rings import decode_rings
from aldis.services.ring import Ringer
from aldis.telemetry.metrics import Metrics

FAILURES = 200  # messages that fail in one transaction


@dataclass(slots=True)
class _Round:
    """Rings of one item: those without anything open, those whose attempts are used up, and what came of the others."""

    closed: list[OpenRing] = field(default_factory=list)
    spent: list[OpenRing] = field(default_factory=list)
    rung: dict[int, tuple[OpenRing, Outcome]] = field(default_factory=dict)


async def ring_due(
    item: bytes,
    *,
    store: Store,
    ringer: Ringer,
    clock: Clock,
    metrics: Metrics,
    policies: Callable[[], RetryPolicies],
    jitter: Callable[[], float] = random.random,
) -> int:
    """Ring for the stretches of an item that have something open; answer how many messages have failed."""
    rings = decode_rings(item)
    current = policies()
    sorted_out = await _ring(rings, await store.still_open(rings), ringer, current)
    now = clock.now_ms()
    for outcome in await store.run(lambda transaction: _settle(transaction, sorted_out, current, jitter, now)):
        metrics.attempts.labels(outcome=outcome.value).inc()
    total, spent = 0, sorted_out.spent
    while spent:
        failed, spent = await store.run(partial(_fail, spent=spent, now=now))
        failed.count(metrics)
        await ringer.ring(failed.batches)
        total += len(failed.letters)
    return total


async def _ring(rings: Sequence[OpenRing], are_open: set[int], ringer: Ringer, policies: RetryPolicies) -> _Round:
    round_ = _Round()
    due: list[OpenRing] = []
    for ring in rings:
        if ring.id not in are_open:
            round_.closed.append(ring)
        elif policies.get(ring.channel, DEFAULT_RETRY).is_used_up(ring.attempt):
            round_.spent.append(ring)
        else:
            due.append(ring)
    outcomes: Mapping[UserId, Outcome] = await ringer.knock(sorted({ring.user for ring in due})) if due else {}
    round_.rung = {ring.id: (ring, outcomes[ring.user]) for ring in due}
    return round_


async def _settle(
    transaction: Transaction, round_: _Round, policies: RetryPolicies, jitter: Callable[[], float], now: int
) -> list[Outcome]:
    rings = round_.closed + [ring for ring, _ in round_.rung.values()]
    await transaction.lock_lanes([(ring.user, ring.lane) for ring in rings])
    await transaction.close_rings(round_.closed)
    rung = [
        Rung(
            ring.id,
            ring.attempt + 1,
            now + policies.get(ring.channel, DEFAULT_RETRY).delay_ms(ring.attempt + 1, jitter()),
        )
        for ring, _ in round_.rung.values()
    ]
    stored = [round_.rung[identifier] for identifier in sorted(await transaction.settle_rings(rung))]
    await transaction.put_attempts([_attempt(ring, outcome, now) for ring, outcome in stored])
    return [outcome for _, outcome in stored]


def _attempt(ring: OpenRing, outcome: Outcome, now: int) -> Attempt:
    return Attempt(*ring[1:6], attempt=ring.attempt + 1, device=None, outcome=outcome, at=now)


async def _fail(transaction: Transaction, spent: Sequence[OpenRing], now: int) -> tuple[Failed, list[OpenRing]]:
    """Fail what is open in stretches; answer also those that are left, for one transaction does not do it all."""
    await transaction.lock_lanes([(ring.user, ring.lane) for ring in spent])
    found = await transaction.open_in_rings(spent, FAILURES)
    failed = await fail_messages([entry for _, entry in found], Reason.ATTEMPTS_EXHAUSTED, transaction, now)
    if len(found) < FAILURES:
        await transaction.close_rings(spent)
        return failed, []
    reached, last = found[-1]
    await transaction.close_rings([ring for ring in spent if ring.id < reached])
    await transaction.shorten_rings([(reached, last.seq)])
    return failed, [ring for ring in spent if ring.id >= reached]
