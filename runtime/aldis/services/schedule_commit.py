"""The committer of scheduled sends: those that arrive together are one transaction, and each gets its own answer."""

from collections.abc import Callable, Sequence

from aldis.domain.channels import ChatPolicies
from aldis.domain.errors import AldisError, Rejected, Unavailable
from aldis.ports.clock import Clock
from aldis.ports.store import Store
from aldis.services.grouping import Grouper
from aldis.services.halving import commit_or_halve
from aldis.services.retry_contention import retry_contention
from aldis.services.schedule_sends import Scheduled, ScheduleSend, schedule_sends
from aldis.telemetry.metrics import Metrics

GROUP = 200  # as many as a group of sends
WAITING = 5_000  # a few seconds of work; beyond this the sender is told to come back


class ScheduleCommitter:
    """Schedules sends; one instance a process."""

    def __init__(
        self, *, store: Store, clock: Clock, metrics: Metrics, policies: Callable[[], ChatPolicies] = dict
    ) -> None:
        self._store = store
        self._clock = clock
        self._policies = policies
        self._accepted = metrics.scheduled.labels(outcome="accepted")
        self._latest = 0  # when the newest group was scheduled: no two share a millisecond, so that their order holds
        self._group: Grouper[ScheduleSend, Scheduled] = Grouper(
            lambda group: commit_or_halve(group, self._commit),
            name="schedule",
            most=GROUP,
            bound=WAITING,
            metrics=metrics,
        )

    async def schedule(self, sends: Sequence[ScheduleSend]) -> list[Scheduled | Rejected | Unavailable]:
        """Schedule these in order; one answer for each."""
        answers = await self._group.ask_all(sends)
        return [a if isinstance(a, (Scheduled, Rejected, Unavailable)) else Unavailable("not stored") for a in answers]

    async def settle(self) -> None:
        """Wait until all that was submitted is answered."""
        await self._group.settle()

    async def _commit(self, sends: Sequence[ScheduleSend]) -> list[Scheduled | AldisError]:
        now = self._clock.now_ms()
        self._latest = created = max(now, self._latest + 1)
        answers = await retry_contention(
            lambda: schedule_sends(sends, store=self._store, now_ms=now, created_ms=created, policies=self._policies()),
            clock=self._clock,
        )
        self._accepted.inc(sum(isinstance(answer, Scheduled) and not answer.duplicate for answer in answers))
        return answers
