"""The jobs that deliver: ring for what is not acknowledged, fail what expires, replay dead letters, count them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aldis.domain.retry import RetryPolicies
from aldis.domain.streams import LANES
from aldis.ports.broker import Broker
from aldis.ports.clock import Clock
from aldis.ports.dead_letters import LetterFilter
from aldis.ports.store import Store
from aldis.services.expire_messages import expire_messages
from aldis.services.hand_out_rings import LIMIT, hand_out_rings
from aldis.services.plan_rings import LANES as PLANNED
from aldis.services.plan_rings import plan_rings
from aldis.services.replay_dead_letters import COUNTED, replay_all
from aldis.services.ring import Ringer
from aldis.services.ring_due import ring_due
from aldis.telemetry.metrics import Metrics

SWEEP_SECONDS = 1.0  # how late a ring may be
EXPIRE_SECONDS = 1.0  # how late a message that has expired may fail
REPLAY_SECONDS = 1.0  # until a replay that somebody asked for begins
COUNT_SECONDS = 15.0  # between looks at how many dead letters there are


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivering:
    """All of them over one store. `policies` are the channels' as they are now; `stored` wakes the relay."""

    store: Store
    broker: Broker
    ringer: Ringer
    clock: Clock
    metrics: Metrics
    policies: Callable[[], RetryPolicies]
    stored: asyncio.Event

    def rounds(self) -> Mapping[str, tuple[Callable[[], Awaitable[int]], float]]:
        """The jobs with their pauses."""
        return {
            "sweep": (self.sweep, SWEEP_SECONDS),
            "expire": (self.expire, EXPIRE_SECONDS),
            "replay": (self.replay, REPLAY_SECONDS),
            "count_letters": (self.count, COUNT_SECONDS),
        }

    async def ring(self, item: bytes) -> None:
        """Work off an item of rings."""
        failed = await ring_due(
            item,
            store=self.store,
            ringer=self.ringer,
            clock=self.clock,
            metrics=self.metrics,
            policies=self.policies,
        )
        if failed:
            self.stored.set()

    async def sweep(self) -> int:
        """Plan and hand out all that is due; urgent lanes are handed out before the rest is planned."""
        total, may_be_more = 0, True
        while may_be_more:
            planned = await plan_rings(store=self.store, clock=self.clock, policies=self.policies())
            handed = [
                await hand_out_rings(lane, store=self.store, broker=self.broker, clock=self.clock) for lane in LANES
            ]
            total += planned + sum(handed)
            may_be_more = planned == PLANNED or LIMIT in handed
        return total

    async def expire(self) -> int:
        """Fail what has expired."""
        failed = await expire_messages(store=self.store, ringer=self.ringer, clock=self.clock, metrics=self.metrics)
        if failed:
            self.stored.set()
        return failed

    async def replay(self) -> int:
        """Go on with replays."""
        return await replay_all(store=self.store, ringer=self.ringer, clock=self.clock, policies=self.policies)

    async def count(self) -> int:
        """Look how many letters wait."""
        self.metrics.dead_letters_open.set(await self.store.count_letters(LetterFilter(), COUNTED))
        return 0
