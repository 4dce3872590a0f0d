"""The group committer: concurrent sends become one transaction, and each gets its own answer.

Sharded by conversation, so that a sender's order into a conversation holds, also through retry and bisection. A repeat
inside a group collapses onto the first; a repeat of an earlier message reads the stored answer. One row that cannot be
stored is found by bisection and fails alone. After the commit the gateways are rung and the senders answered at once.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from zlib import crc32

from aldis.domain.channels import ChatPolicies
from aldis.domain.errors import AldisError, Rejected, Unavailable
from aldis.domain.messages import SendMessage, Stored
from aldis.domain.retry import RetryPolicies
from aldis.ports.clock import Clock
from aldis.ports.store import Store
from aldis.services.grouping import Done, Grouper
from aldis.services.halving import commit_or_halve
from aldis.services.retry_contention import retry_contention
from aldis.services.ring import Ringer
from aldis.services.store_group import store_group
from aldis.telemetry.metrics import Metrics

GROUP = 400  # sends in one transaction: 200 more than that would cost 25 ms of everybody's time for a few per cent
SPACING = 0.006  # seconds between the beginnings of groups, where each is a dozen round trips to a database
WAITING = 20_000  # sends queued a shard: a few seconds of work; beyond this the sender is told to come back


class GroupCommitter:
    """Stores sends; one instance a process."""

    def __init__(
        self,
        *,
        store: Store,
        ringer: Ringer,
        clock: Clock,
        metrics: Metrics,
        policies: Callable[[], ChatPolicies] = dict,
        retries: Callable[[], RetryPolicies] = dict,
    ) -> None:
        self._store = store
        self._policies = policies  # who may chat, as far as this process knows it now
        self._retries = retries  # and how channels ring
        self._ringer = ringer
        self._clock = clock
        self._metrics = metrics
        self.stored = asyncio.Event()  # set after each commit: what waits for the outbox need not ask the database
        self._shards: list[Grouper[SendMessage, Stored]] = [
            Grouper(
                lambda group: commit_or_halve(group, self._store_and_ring),
                name="send",
                most=GROUP,
                bound=WAITING,
                metrics=metrics,
                spacing=SPACING if store.concurrent_writers > 1 else 0.0,
            )
            for _ in range(store.concurrent_writers)
        ]

    def submit(self, command: SendMessage, done: Done[Stored]) -> None:
        """Queue a send; `done` gets where it was stored, or why not."""
        shard = crc32(command.conversation_id.encode()) % len(self._shards)
        self._shards[shard].submit(command, done)

    async def send(self, commands: Sequence[SendMessage]) -> list[Stored | Rejected | Unavailable]:
        """Store these and answer for each, in order."""
        answers: list[Stored | AldisError | None] = [None] * len(commands)
        left = len(commands)
        finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def answered(index: int, answer: Stored | AldisError) -> None:
            nonlocal left
            answers[index] = answer
            left -= 1
            if left == 0 and not finished.done():
                finished.set_result(None)

        for index, command in enumerate(commands):
            self.submit(command, lambda answer, index=index: answered(index, answer))  # type: ignore[misc]
        if commands:
            await finished
        return [a if isinstance(a, (Stored, Rejected, Unavailable)) else Unavailable("not stored") for a in answers]

    async def settle(self) -> None:
        """Wait until all that was submitted is answered."""
        for shard in self._shards:
            await shard.settle()

    async def _store_and_ring(self, group: Sequence[SendMessage]) -> list[Stored | AldisError]:
        answers, batches = await retry_contention(
            lambda: store_group(
                group,
                store=self._store,
                now_ms=self._clock.now_ms(),
                policies=self._policies(),
                retries=self._retries(),
            ),
            clock=self._clock,
        )
        self.stored.set()
        self._count(group, answers)
        await self._ringer.ring(batches)
        return answers

    def _count(self, group: Sequence[SendMessage], answers: Sequence[Stored | AldisError]) -> None:
        told = zip(group, answers, strict=True)
        stored = [(command, answer.duplicate) for command, answer in told if isinstance(answer, Stored)]
        fresh = Counter((command.kind, command.lane) for command, is_duplicate in stored if not is_duplicate)
        for (kind, lane), count in fresh.items():
            self._metrics.messages_accepted.labels(kind=kind.value, lane=lane).inc(count)
        self._metrics.messages_duplicate.inc(len(stored) - fresh.total())
