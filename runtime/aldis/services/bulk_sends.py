"""Many sends at once, in slices: whoever sends a single message meanwhile waits behind few of them.

Batches and scheduled sends share the room, so that however many come together the committer's queue stays short.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from aldis.domain.errors import Rejected, Unavailable
from aldis.domain.messages import SendMessage, Stored

SLICE = 400  # sends handed over together: as many as a group stores
ROOM = 800  # sends of all slices that are with the committer: one group being stored, and the next one


class Committer(Protocol):
    """Stores messages in groups; answers each in its place."""

    async def send(self, commands: Sequence[SendMessage]) -> list[Stored | Rejected | Unavailable]:
        """Store them; an answer `Stored` means committed."""
        ...


class BulkSends:
    """A committer behind a door that lets a few hundred sends in at a time, first come, first served."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._free = ROOM
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def send(self, commands: Sequence[SendMessage]) -> list[Stored | Rejected | Unavailable]:
        """Store these, one slice after the other, and answer for each, in order."""
        answers: list[Stored | Rejected | Unavailable] = []
        for start in range(0, len(commands), SLICE):
            part = commands[start : start + SLICE]
            await self._enter(len(part))
            try:
                answers += await self._committer.send(part)
            finally:
                self._leave(len(part))
        return answers

    async def _enter(self, count: int) -> None:
        if not self._waiting and count <= self._free:
            self._free -= count
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((count, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(count)  # it was let in at the moment when it was called away
            raise

    def _leave(self, count: int) -> None:
        self._free += count
        while self._waiting and (self._waiting[0][1].cancelled() or self._waiting[0][0] <= self._free):
            wanted, turn = self._waiting.popleft()
            if not turn.cancelled():
                self._free -= wanted
                turn.set_result(None)
