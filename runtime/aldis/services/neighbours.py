"""What gateways ask and tell each other of connections: who is connected, and whose device has come anew.

All of it goes by doorbells, which may be lost: an answer that does not come within a second is done without, and an
older connection that was not told stays until it ends, which harms nobody.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from heapq import nsmallest

import structlog

from aldis.domain.errors import Rejected, Unavailable
from aldis.domain.ids import UserId
from aldis.ports.backplane import Backplane, Question, Replaced, Roll
from aldis.ports.connections import ConnectionView
from aldis.ports.presence import Presence
from aldis.telemetry.tasks import spawn

ANSWER_SECONDS = 1.0
MOST_VIEWS = 1001  # of one answer; a page and one more

log = structlog.get_logger(__name__)


class Neighbours:
    """One gateway's view of the others. `here` gives its own open connections, of one user or of all."""

    def __init__(
        self,
        *,
        node: str,
        presence: Presence,
        backplane: Backplane,
        here: Callable[[str | None], Sequence[ConnectionView]],
    ) -> None:
        self._node = node
        self._presence = presence
        self._backplane = backplane
        self._here = here
        self._open: dict[str, _Poll] = {}

    async def came(self, user: UserId, device: str | None, connection: str, most: int) -> None:
        """Tell the user's other gateways of a new connection here. Raises `Rejected` if there are more than `most`."""
        try:
            nodes = (await self._presence.nodes_of([user])).get(user, ())
        except Unavailable:
            return  # nobody knows where else he is; each gateway has its own limit
        others = [node for node in nodes if node != self._node]
        if not others:
            return
        if device is not None:
            replaced = Replaced(user, device, connection)
            await self._backplane.ring({node: [replaced] for node in others})
        if (await self._ask(others, self._question(user=user))).total > most:
            raise Rejected("connection_limit", f"a user has at most {most} connections")

    async def roll(
        self, *, user: str | None = None, connection: str | None = None, after: str = "", limit: int = 0
    ) -> Roll:
        """Connections of all gateways that answer: how many there are, and the oldest above `after`."""
        try:
            others = [node for node in await self._presence.nodes() if node != self._node]
        except Unavailable:
            others = []
        return await self._ask(others, self._question(user, connection, after, min(limit, MOST_VIEWS)))

    def on_question(self, question: Question) -> None:
        """Answer another gateway."""
        answer = self._answer(question)
        _ = spawn(self._backplane.ring({question.node: [answer]}), "roll")

    def on_roll(self, roll: Roll) -> None:
        """Take another gateway's answer."""
        poll = self._open.get(roll.question)
        if poll is not None:
            poll.take(roll)

    def _question(
        self, user: str | None = None, connection: str | None = None, after: str = "", limit: int = 0
    ) -> Question:
        return Question(secrets.token_hex(8), self._node, user, connection, after, limit)

    async def _ask(self, others: Sequence[str], question: Question) -> Roll:
        poll = self._open[question.id] = _Poll(others)
        poll.take(self._answer(question))
        try:
            if others:
                await self._backplane.ring({node: [question] for node in others})
                async with asyncio.timeout(ANSWER_SECONDS):
                    await poll.complete.wait()
        except (TimeoutError, Unavailable):
            log.warning("gateways_silent", nodes=sorted(poll.waiting))
        finally:
            del self._open[question.id]
        views = nsmallest(question.limit, poll.views)
        return Roll(question.id, self._node, poll.total, tuple(views))

    def _answer(self, question: Question) -> Roll:
        found = [view for view in self._here(question.user) if question.connection in {None, view.id}]
        later = (view for view in found if view.id > question.after)
        return Roll(question.id, self._node, len(found), tuple(nsmallest(question.limit, later)))


class _Poll:
    """A question that is open: who has not answered, and what the others have."""

    def __init__(self, others: Sequence[str]) -> None:
        self.waiting = set(others)
        self.total = 0
        self.views: list[ConnectionView] = []
        self.complete = asyncio.Event()

    def take(self, roll: Roll) -> None:
        self.waiting.discard(roll.node)
        self.total += roll.total
        self.views += roll.views
        if not self.waiting:
            self.complete.set()
