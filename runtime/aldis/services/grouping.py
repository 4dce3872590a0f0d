"""Grouping: what arrives while one group is being worked on makes up the next.

At rest an item is a group of its own and waits for nobody; under load groups grow to what the work can take. Only where
nobody waits for an answer may a group linger. With `spacing` groups begin at least so many seconds apart: what a group
costs whatever is in it is paid less often, and one that comes alone still waits for nobody. Answers go to callbacks:
no future and no task for each item.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import structlog

from aldis.domain.errors import AldisError, Unavailable
from aldis.telemetry.metrics import Metrics
from aldis.telemetry.tasks import spawn

T = TypeVar("T")
R = TypeVar("R")
Done = Callable[[R | AldisError], None]

log = structlog.get_logger(__name__)


class Grouper(Generic[T, R]):
    """Hands items in order to `work`, at most `most` at a time, one group after the other.

    `work` answers one result or `AldisError` for each item, in order; what it raises is every item's answer. With more
    than `bound` items waiting, new ones are answered `Unavailable` at once.
    """

    def __init__(
        self,
        work: Callable[[Sequence[T]], Awaitable[Sequence[R | AldisError]]],
        *,
        name: str,
        most: int,
        bound: int,
        metrics: Metrics,
        linger: float = 0.0,
        spacing: float = 0.0,
    ) -> None:
        self._work = work
        self._linger = linger
        self._spacing = spacing
        self._started = 0.0  # when the last group was taken up
        self._name = name
        self._most = most
        self._bound = bound
        self._waiting: deque[tuple[T, Done[R] | None]] = deque()
        self._runner: asyncio.Task[None] | None = None
        self._sizes = metrics.commit_group_size.labels(group=name)
        self._seconds = metrics.commit_seconds.labels(group=name)

    def submit(self, item: T, done: Done[R] | None = None) -> None:
        """Queue an item; `done` is called on the event loop with its answer."""
        if len(self._waiting) >= self._bound:
            if done is not None:
                done(Unavailable("too much is waiting to be stored", retry_after_ms=1000))
            return
        self._waiting.append((item, done))
        if self._runner is None:
            self._runner = spawn(self._run(), f"group-{self._name}")

    async def ask(self, item: T) -> R:
        """Queue an item and wait for its answer; raises the `AldisError` when it is one."""
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()

        def done(result: R | AldisError) -> None:
            if answer.done():
                return  # the asker has gone
            if isinstance(result, AldisError):
                answer.set_exception(result)
            else:
                answer.set_result(result)

        self.submit(item, done)
        return await answer

    async def ask_all(self, items: Sequence[T]) -> list[R | AldisError]:
        """Queue items and wait for their answers, in order."""
        answers: list[R | AldisError | None] = [None] * len(items)
        left = len(items)
        finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def answered(index: int, answer: R | AldisError) -> None:
            nonlocal left
            answers[index] = answer
            left -= 1
            if left == 0 and not finished.done():  # else the asker has gone
                finished.set_result(None)

        for index, item in enumerate(items):
            self.submit(item, lambda answer, index=index: answered(index, answer))  # type: ignore[misc]
        if items:
            await finished
        return [answer if answer is not None else Unavailable("not answered") for answer in answers]

    async def settle(self) -> None:
        """Wait until nothing is waiting."""
        while self._runner is not None:
            await asyncio.wait([self._runner])

    async def _run(self) -> None:
        try:
            while self._waiting:
                pause = max(self._linger, self._started + self._spacing - time.perf_counter())
                if pause > 0 and len(self._waiting) < self._most:
                    await asyncio.sleep(pause)
                size = min(self._most, len(self._waiting))
                await self._finish([self._waiting.popleft() for _ in range(size)])
        finally:
            self._runner = None

    async def _finish(self, group: Sequence[tuple[T, Done[R] | None]]) -> None:
        started = self._started = time.perf_counter()
        answers = await self._answers([item for item, _ in group])
        self._seconds.observe(time.perf_counter() - started)
        self._sizes.observe(len(group))
        for (_, done), answer in zip(group, answers, strict=True):
            if done is not None:
                self._tell(done, answer)

    def _tell(self, done: Done[R], answer: R | AldisError) -> None:
        try:
            done(answer)
        except Exception:
            # One asker's fault must not leave the others of its group without an answer.
            log.exception("answer_failed", group=self._name)

    async def _answers(self, items: Sequence[T]) -> Sequence[R | AldisError]:
        try:
            return await self._work(items)
        except AldisError as error:
            return [error] * len(items)
        except Exception:
            # The edge of a group: its askers must get an answer, and the next group must run.
            log.exception("group_failed", group=self._name, size=len(items))
            return [Unavailable("this could not be stored now")] * len(items)
