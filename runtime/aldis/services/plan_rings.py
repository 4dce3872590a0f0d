"""Lanes that are due: what is still unacknowledged in them becomes stretches, rung for by their channels' policies.

A send says only when its recipients' lanes are due, so that it costs nothing more. Who is there has acknowledged long
before, and no stretch is made for him.
"""

from collections.abc import Mapping, Sequence

from aldis.domain.ids import UserId, created_ms
from aldis.domain.retry import DEFAULT_RETRY, RetryPolicies
from aldis.domain.streams import Lane
from aldis.ports.clock import Clock
from aldis.ports.deliveries import DueLane, LookedAt, NewRing, OpenRing, Range, Stretch
from aldis.ports.store import Store, Transaction

LANES = 200  # looked at in one transaction
ENTRIES = 2_000  # of them all, looked at in one transaction: some ten milliseconds of the writer
MOST_OPEN = 100  # rings of one lane: a user who has been away that long is rung often enough, and the rest can wait
CROWDED_MS = 60_000  # until a lane with so many is looked at again


async def plan_rings(*, store: Store, clock: Clock, policies: RetryPolicies) -> int:
    """Look at the lanes that are due; answer how many there were."""
    now = clock.now_ms()
    return await store.run(lambda transaction: _plan(transaction, now, policies))


async def _plan(transaction: Transaction, now: int, policies: RetryPolicies) -> int:
    lanes = await transaction.claim_due_lanes(now, LANES)
    if not lanes:
        return 0
    looked = windows(lanes, now)
    highs = {(lane.user, lane.lane): lane.high for lane in looked}
    stretches = await transaction.open_stretches(
        [
            Range(lane.user, lane.lane, lane.low, highs[lane.user, lane.lane])
            for lane in lanes
            if highs[lane.user, lane.lane] > lane.low
        ]
    )
    found = {(stretch.user, stretch.lane) for stretch in stretches}
    rings = await transaction.rings_of([(d.user, d.lane) for d in lanes if d.rings and (d.user, d.lane) in found])
    fresh, extended = arrange(stretches, rings, policies, now)
    await transaction.put_rings(fresh)
    await transaction.extend_rings(extended)
    await transaction.settle_lanes(looked)
    return len(lanes)


def windows(lanes: Sequence[DueLane], now: int) -> list[LookedAt]:
    """How far each lane is looked at now; what is too much for one transaction is the next one's."""
    left = ENTRIES
    looked: list[LookedAt] = []
    for lane in lanes:
        if lane.rings >= MOST_OPEN:
            looked.append(LookedAt(lane.user, lane.lane, lane.low, now + CROWDED_MS))
            continue
        high = min(lane.head, lane.low + left)
        left -= max(0, high - lane.low)
        looked.append(LookedAt(lane.user, lane.lane, max(high, lane.low), now if high < lane.head else None))
    return looked


def arrange(
    stretches: Sequence[Stretch], rings: Sequence[OpenRing], policies: RetryPolicies, now: int
) -> tuple[list[NewRing], list[tuple[int, int]]]:
    """New rings for stretches, and the rings that take one in: those of the same channel, not yet rung and right below.

    The first ring comes when the oldest message of a stretch has waited as long as its channel says.
    """
    last = _last_rings(rings)
    fresh: list[NewRing] = []
    extended: list[tuple[int, int]] = []
    for stretch in stretches:
        below = last.get((stretch.user, stretch.lane, stretch.channel))
        if below is not None and below.attempt == 0:
            extended.append((below.id, stretch.high))
            continue
        due = created_ms(stretch.oldest) + policies.get(stretch.channel, DEFAULT_RETRY).initial_ms
        fresh.append(NewRing(*stretch[:5], due_at=due, started_at=now))
    return fresh, extended


def _last_rings(rings: Sequence[OpenRing]) -> Mapping[tuple[UserId, Lane, str], OpenRing]:
    """The highest ring of each channel in each lane."""
    ordered = sorted(rings, key=lambda ring: ring.high)
    return {(ring.user, ring.lane, ring.channel): ring for ring in ordered}
