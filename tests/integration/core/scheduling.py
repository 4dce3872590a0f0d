"""Scheduled sends as they run in one process, over a core: what a backend asks for, and the worker's rounds."""

from collections.abc import Sequence
from typing import Any

from aldis.adapters.memory.clock import START_MS
from aldis.domain.callers import SENDING, ApiKey, BackendCaller, Scope
from aldis.domain.channels import Channel, ChannelType
from aldis.domain.content import text_content
from aldis.domain.errors import AldisError
from aldis.domain.ids import UserId
from aldis.domain.messages import Sender
from aldis.domain.scheduling import ScheduledId
from aldis.ports.scheduling import ScheduledSend
from aldis.ports.store import Store
from aldis.services.bulk_sends import BulkSends
from aldis.services.compose import Draft, compose
from aldis.services.find_scheduled import Outcome, follow_scheduled
from aldis.services.schedule_commit import ScheduleCommitter
from aldis.services.schedule_sends import Scheduled, ScheduleSend
from aldis.services.send_scheduled import ScheduledSender
from integration.core.commands import ALICE, BOB
from integration.core.running_core import Core

NEWS = Channel(name="news", type=ChannelType.NOTIFICATION)
SHOP = "b:shop"
SOON = START_MS + 60_000


class Schedule:
    """The backend `shop`, with one key for everything, and a worker that sends what is due."""

    def __init__(self, core: Core, store: Store | None = None) -> None:
        self.core = core
        self.store = store or core.store
        self.channels: dict[str, Channel] = {"news": NEWS}
        self.committer = ScheduleCommitter(store=self.store, clock=core.clock, metrics=core.metrics)
        self.worker = ScheduledSender(
            store=self.store,
            sends=BulkSends(core.committer),
            channel=self.channel,
            clock=core.clock,
            metrics=core.metrics,
        )

    async def channel(self, name: str) -> Channel | None:
        """The channel, as it is declared now."""
        return self.channels.get(name)

    async def give_key(self, key_id: str = "k1", **more: Any) -> None:
        """Store a key of the backend, or its end."""
        given = {"name": "shop", "hash": "x", "scopes": SENDING, "channels": frozenset[str](), "created_at": 0, **more}
        async with self.core.store.begin() as transaction:
            await transaction.put_api_key(ApiKey(id=key_id, **given))

    async def ask(self, *drafts: Draft) -> list[Scheduled | AldisError]:
        """Schedule these together; the answers."""
        return list(await self.committer.schedule([await self._send_of(draft) for draft in drafts]))

    async def schedule(self, *drafts: Draft) -> list[ScheduledId]:
        """The same where all must succeed; their ids."""
        answers = await self.ask(*drafts)
        assert all(isinstance(answer, Scheduled) for answer in answers), answers
        return [answer.id for answer in answers if isinstance(answer, Scheduled)]

    async def send_due(self, at: int = SOON) -> int:
        """What a worker does when that time has come, until nothing is left to do."""
        self.core.clock.now = max(at, self.core.clock.now)
        total = 0
        while taken := await self.worker.send_due():
            total += taken
        return total

    async def outcome(self, scheduled: ScheduledId) -> Outcome:
        """What became of one."""
        return await follow_scheduled(SHOP, scheduled, store=self.core.store)

    async def row(self, scheduled: ScheduledId) -> ScheduledSend:
        """What is left of one."""
        row = await self.core.store.scheduled(scheduled)
        assert row is not None, "it is there"
        return row

    async def _send_of(self, draft: Draft) -> ScheduleSend:
        caller = BackendCaller(name="shop", key_id="k1", scopes=frozenset({Scope.SEND, Scope.SEND_AS}))
        now = self.core.clock.now_ms()
        commands = await compose(draft, caller, store_channel=self.channel, now_ms=now)
        return ScheduleSend(owner=Sender(backend=caller.name).scope, draft=draft, commands=commands)


def notice(text: str = "later", *, at: int = SOON, to: Sequence[UserId] = (), **more: Any) -> Draft:
    """A notification to bob, or to several, for that time."""
    users = {"to_users": tuple(to)} if to else {"to_user": BOB}
    return Draft(content=text_content(text), channel="news", send_at=at, **{**users, **more})


def letter(text: str = "later", *, at: int = SOON, **more: Any) -> Draft:
    """A chat in alice's name, for that time."""
    target: dict[str, Any] = {} if "to_conversation" in more else {"to_user": BOB}
    return Draft(content=text_content(text), from_user=ALICE, send_at=at, **target, **more)
