"""The jobs that ring, expire and replay, over a core whose clock goes from one due time to the next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import Executable, select, text

from aldis.adapters.memory.broker import MemoryBroker
from aldis.adapters.sql import schema
from aldis.adapters.sql.store import SqlTransaction
from aldis.domain.callers import BackendCaller, UserCaller
from aldis.domain.ids import MessageId, UserId
from aldis.domain.retry import RetryPolicy
from aldis.domain.status import RecipientStatus
from aldis.domain.streams import LANES
from aldis.services.expire_messages import expire_messages
from aldis.services.hand_out_rings import QUEUES, hand_out_rings
from aldis.services.message_status import Milestone, read_message_status, read_timeline
from aldis.services.plan_rings import plan_rings
from aldis.services.replay_dead_letters import replay_all
from aldis.services.ring import Ringer
from aldis.services.ring_due import ring_due
from integration.core.commands import ALICE
from integration.core.running_core import Core

BACKEND = BackendCaller("shop", "key")


@dataclass
class HeldBroker:
    """Keeps what is published, to be handed on by hand."""

    items: list[tuple[str, bytes]] = field(default_factory=list)
    is_heard: bool = False

    async def publish(self, queue: str, item: bytes) -> None:
        self.items.append((queue, item))

    async def announce(self, topic: str, payload: bytes) -> None:
        return None

    consume = bind = MemoryBroker.consume


class Deliverer:
    """A worker by hand. `policies` are the channels' own, `jitter` what the dice say each time."""

    def __init__(self, core: Core, policies: Mapping[str, RetryPolicy] | None = None, *, jitter: float = 0.5) -> None:
        self.core = core
        self.policies = core.retries
        self.policies.update(policies or {})
        self.jitter = jitter
        self.broker = HeldBroker()
        self.ringer = Ringer(presence=core.doorbell, backplane=core.doorbell)

    async def hand_out(self) -> int:
        """What the sweeper does each second; how many lanes and rings were due."""
        core = self.core
        planned = await plan_rings(store=core.store, clock=core.clock, policies=self.policies)
        handed = [await hand_out_rings(lane, store=core.store, broker=self.broker, clock=core.clock) for lane in LANES]
        return planned + sum(handed)

    async def work_off(self) -> None:
        """What the consumers do with it."""
        items, self.broker.items = self.broker.items, []
        for queue, item in items:
            assert queue in QUEUES.values()
            await self.ring(item)

    async def ring(self, item: bytes) -> None:
        """One item."""
        await ring_due(
            item,
            store=self.core.store,
            ringer=self.ringer,
            clock=self.core.clock,
            metrics=self.core.metrics,
            policies=lambda: self.policies,
            jitter=lambda: self.jitter,
        )

    async def round(self) -> int:
        """All that is due now; how many lanes and rings there were."""
        total = 0
        while due := await self.hand_out():
            await self.work_off()
            total += due
        return total

    async def expire(self) -> int:
        """What the worker does each second; how many messages have failed by it."""
        core = self.core
        return await expire_messages(store=core.store, ringer=self.ringer, clock=core.clock, metrics=core.metrics)

    async def replay(self) -> int:
        """All replays that were asked for, to their ends; in how many steps."""
        core = self.core
        return await replay_all(store=core.store, ringer=self.ringer, clock=core.clock, policies=lambda: self.policies)

    async def wait(self, ms: int) -> list[int]:
        """Let time pass, working at each moment when something is due; those moments."""
        end = self.core.clock.now + ms
        moments: list[int] = []
        while (due := await next_due(self.core)) is not None and due <= end:
            self.core.clock.now = max(self.core.clock.now, due)
            if await self.round():
                moments.append(self.core.clock.now)
        self.core.clock.now = end
        return moments

    async def wait_out(self) -> None:
        """Until nothing is due any more."""
        while (due := await next_due(self.core)) is not None:
            self.core.clock.now = max(self.core.clock.now, due)
            await self.round()


async def next_due(core: Core) -> int | None:
    """When the next lane or ring is due."""
    union = "SELECT MIN(due_at) AS at FROM stream_heads UNION ALL SELECT MIN(due_at) FROM rings"
    ((at,),) = await query(core, text(f"SELECT MIN(at) FROM ({union}) d"))  # noqa: S608 - no parameter in it
    return at if at is None else int(at)


async def query(core: Core, statement: Executable) -> Sequence[Any]:
    """Rows, as a transaction sees them."""
    async with core.store.begin() as transaction:
        rows: Sequence[Any] = (await cast("SqlTransaction", transaction)._connection.execute(statement)).all()
        return rows


async def table(core: Core, name: str, *columns: str) -> list[tuple[Any, ...]]:
    """These columns of all rows of a table, in the order of its key."""
    of = schema.metadata.tables[name]
    return [
        tuple(row) for row in await query(core, select(*(of.c[column] for column in columns)).order_by(*of.primary_key))
    ]


async def check_counters(core: Core) -> None:
    """What the heads of lanes say is open and failed in them, is."""
    counted = {
        (user, lane): (rings, failed)
        for user, lane, rings, failed in await table(core, "stream_heads", "user_id", "source", "rings", "failed")
        if rings or failed
    }
    rings = await table(core, "rings", "user_id", "lane")
    failed = await table(core, "dead_letters", "recipient", "lane")
    assert counted == {key: (rings.count(key), failed.count(key)) for key in {*rings, *failed}}


async def status(core: Core, message: MessageId, caller: UserCaller | BackendCaller | None = None) -> RecipientStatus:
    """The status of a message for its one recipient, as its sender is told it."""
    found = await read_message_status(
        message, caller or UserCaller(ALICE, 0), limit=9, store=core.store, now_ms=core.clock.now
    )
    (recipient,) = found.recipients.items
    return recipient


async def timeline(core: Core, message: MessageId, caller: UserCaller | BackendCaller | None = None) -> list[Milestone]:
    """Its timeline after the beginning."""
    found = await read_timeline(message, caller or UserCaller(ALICE, 0), store=core.store)
    assert [each.type for each in found[:3]] == ["accepted", "stored", "queued"]
    return found[3:]


async def letters(core: Core) -> list[tuple[Any, ...]]:
    """Dead letters: (message, recipient, reason, attempts)."""
    return await table(core, "dead_letters", "message_id", "recipient", "reason", "attempts")


def user(name: UserId) -> UserCaller:
    return UserCaller(name, 0)
