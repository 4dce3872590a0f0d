"""Gathering: what is asked while one round trip is under way makes up the next.

At rest a question waits for nobody; under load one command or pipeline answers all who have come meanwhile. That is
what makes Redis cheap from Python, where the round trip costs and hardly what is in it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import structlog

from aldis.domain.errors import AldisError, Unavailable
from aldis.telemetry.tasks import spawn

Q = TypeVar("Q")
A = TypeVar("A")

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class Gatherer(Generic[Q, A]):
    """Hands questions in order to `work`, at most `most` at a time, one round after the other.

    What `work` raises is the answer to all of its round. With `bound` waiting, new ones are `Unavailable` at once.
    """

    def __init__(
        self, work: Callable[[Sequence[Q]], Awaitable[Sequence[A]]], *, name: str, most: int, bound: int
    ) -> None:
        self._work = work
        self._name = name
        self._most = most
        self._bound = bound
        self._waiting: deque[tuple[Q, asyncio.Future[A]]] = deque()
        self._runner: asyncio.Task[None] | None = None

    async def ask(self, question: Q) -> A:
        """The answer. Raises what `work` raises."""
        if len(self._waiting) >= self._bound:
            raise Unavailable("too much is waiting for Redis")
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if self._runner is None:
            self._runner = spawn(self._run(), f"redis-{self._name}")
        return await answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                size = min(self._most, len(self._waiting))
                await self._answer([self._waiting.popleft() for _ in range(size)])
        finally:
            self._runner = None
            for _, answer in self._waiting:  # only when we are cancelled, and nobody else will answer
                answer.cancel()

    async def _answer(self, group: Sequence[tuple[Q, asyncio.Future[A]]]) -> None:
        waited_for = [(question, answer) for question, answer in group if not answer.done()]
        try:
            answers = await self._work([question for question, _ in waited_for])
        except AldisError as error:
            _fail(waited_for, error)
        except Exception:
            # The edge of a round: its askers must get an answer, and the next round must run.
            log.exception("redis_round_failed", name=self._name, size=len(waited_for))
            _fail(waited_for, Unavailable("this could not be asked of Redis"))
        else:
            for (_, answer), result in zip(waited_for, answers, strict=True):
                if not answer.done():
                    answer.set_result(result)


def _fail(asked: Sequence[tuple[Q, asyncio.Future[A]]], error: AldisError) -> None:
    for _, answer in asked:
        if not answer.done():
            answer.set_exception(error)
