"""The core as it runs in one process: a SQL store, committers, connector and reader, on a clock that never waits."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import msgspec

from aldis.adapters.memory.clock import START_MS
from aldis.adapters.sql.store import WRITERS, open_sql_store
from aldis.domain.callers import Caller
from aldis.domain.channels import ChatPolicies
from aldis.domain.content import text_content
from aldis.domain.cursors import Cursor
from aldis.domain.devices import Attachment
from aldis.domain.errors import AldisError
from aldis.domain.ids import ConversationId, DeviceId, MessageId, UserId
from aldis.domain.messages import Message, SendMessage, Stored
from aldis.domain.receipts import ReadMark
from aldis.domain.retry import RetryPolicy
from aldis.domain.streams import Event, LaneHead, Source
from aldis.ports.backplane import Ring
from aldis.ports.store import Store, Want
from aldis.services.connect_device import ConnectDevice, Connector
from aldis.services.find_own_message import find_own_message
from aldis.services.group_commit import GroupCommitter
from aldis.services.moves import MoveCommitter
from aldis.services.read_streams import StreamReader
from aldis.services.revise_message import Reviser
from aldis.services.ring import Ringer
from aldis.telemetry.metrics import Metrics

MEMORY = "sqlite:///:memory:"
PAGE = 200


class HurriedClock:
    """Sleeping moves the time on at once."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self.now = now_ms
        self.slept: list[float] = []

    def now_ms(self) -> int:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += int(seconds * 1000)


@dataclass
class RecordingDoorbell:
    """A presence that finds everybody on one node, and a backplane that keeps what that node is rung with."""

    rung: list[Ring] = field(default_factory=list)

    async def nodes_of(self, users: Sequence[UserId]) -> Mapping[UserId, Sequence[str]]:
        return {user: ["node"] for user in users}

    async def register(self, node: str, users: Sequence[UserId]) -> None:
        return None

    async def withdraw(self, node: str, users: Sequence[UserId]) -> None:
        return None

    async def nodes(self) -> Sequence[str]:
        return ["node"]

    async def watch(self, node: str, users: Sequence[UserId]) -> None:
        return None

    async def unwatch(self, node: str, users: Sequence[UserId]) -> None:
        return None

    async def watching(self, users: Sequence[UserId]) -> Mapping[UserId, Sequence[str]]:
        return {}

    async def renew(self, node: str) -> bool:
        return True

    async def ring(self, rings: Mapping[str, Sequence[Ring]]) -> None:
        for of_node in rings.values():
            self.rung += of_node

    async def ring_all(self, rings: Sequence[Ring]) -> None:
        self.rung += rings

    def listen(self, node: str, on_ring: Callable[[Sequence[Ring]], None]) -> AbstractAsyncContextManager[None]:
        return nullcontext()


class Core:
    """All services over one store."""

    def __init__(self, store: Store, clock: HurriedClock | None = None) -> None:
        self.store = store
        self.clock = clock or HurriedClock()
        self.doorbell = RecordingDoorbell()
        self.metrics = metrics = Metrics()
        self.ringer = ringer = Ringer(presence=self.doorbell, backplane=self.doorbell)
        self.retries: dict[str, RetryPolicy] = {}
        self.committer = GroupCommitter(
            store=store, ringer=ringer, clock=self.clock, metrics=metrics, retries=lambda: self.retries
        )
        self.moves = MoveCommitter(store=store, ringer=ringer, clock=self.clock, metrics=metrics)
        self.connector = Connector(store=store, clock=self.clock, metrics=metrics)
        self.reader = StreamReader(store=store, clock=self.clock, metrics=metrics)
        self.policies: ChatPolicies = {}
        self.reviser = Reviser(
            store=store,
            ringer=ringer,
            clock=self.clock,
            metrics=metrics,
            channel=store.channel,
            policies=lambda: self.policies,
        )

    async def send(self, *commands: SendMessage) -> list[Stored | AldisError]:
        """The answers to sends that arrive together."""
        return list(await self.committer.send(commands))

    async def store_all(self, *commands: SendMessage) -> list[Stored]:
        """The same where all must succeed."""
        answers = await self.send(*commands)
        assert all(isinstance(answer, Stored) for answer in answers), answers
        return [answer for answer in answers if isinstance(answer, Stored)]

    async def edit(self, message_id: MessageId, caller: Caller, text: str) -> Message:
        """Let a message of the caller's say something else."""
        message, conversation = await find_own_message(message_id, caller, store=self.store)
        return await self.reviser.edit(message, conversation, text_content(text))

    async def delete(self, message_id: MessageId, caller: Caller) -> None:
        """Delete a message of the caller's."""
        message, conversation = await find_own_message(message_id, caller, store=self.store)
        await self.reviser.delete(message, conversation)

    async def connect(self, user: UserId, device: str | None, cursor: Cursor | None = None) -> Attachment:
        """Attach a device."""
        name = DeviceId(device) if device is not None else None
        return await self.connector.connect(ConnectDevice(user, name, "web", cursor))

    async def ack(self, user: UserId, device: str, positions: Mapping[Source, int]) -> None:
        """Acknowledge and wait for the commit."""
        await self.moves.acknowledge(user, DeviceId(device), positions)

    async def read(self, user: UserId, conversation: ConversationId, seq: int) -> tuple[int, int]:
        """Mark read; (unread there, badge)."""
        return await self.moves.mark_read(user, None, conversation, seq)

    async def page(self, user: UserId, source: Source, after: int = 0, limit: int = PAGE) -> list[Event]:
        """A page of a source."""
        return await self.reader.page(Want(user, source, after, limit))

    async def texts(self, user: UserId, source: Source, after: int = 0) -> list[str]:
        """The texts of a page of messages."""
        return [event_json(event)["message"]["content"]["text"] for event in await self.page(user, source, after)]

    async def news(self, user: UserId, source: Source, after: int = 0) -> list[tuple[int, str, str]]:
        """A page of messages: position, type, and the text or why it is gone."""
        return [told(event) for event in await self.page(user, source, after)]

    async def head(self, user: UserId, source: Source) -> LaneHead:
        """How far a source has come."""
        return (await self.store.heads([user])).get((user, source), LaneHead())

    async def told(self, user: UserId, type_: str) -> list[dict[str, object]]:
        """The values of one type in a user's state."""
        states = (await self.store.states([Want(user, "r", 0, PAGE)]))[0]
        return [msgspec.json.decode(state.value) for state in states if state.type == type_]

    async def mark(self, conversation: ConversationId, user: UserId) -> ReadMark:
        """A member's read mark."""
        async with self.store.begin() as transaction:
            return (await transaction.read_marks([(conversation, user)]))[conversation, user]

    async def badge(self, user: UserId) -> int:
        """All unread."""
        return await self.store.badge(user)

    async def due(self) -> set[tuple[str, str]]:
        """The lanes that are to be rung some day, left as they are."""
        found: set[tuple[str, str]] = set()
        try:
            async with self.store.begin() as transaction:
                found = {(due.user, due.lane) for due in await transaction.claim_due_lanes(10**15, 1000)}
                raise _LeaveAsItWas
        except _LeaveAsItWas:
            return found


class _LeaveAsItWas(Exception):
    pass


def event_json(event: Event) -> dict[str, Any]:
    """An event's body as an object."""
    decoded: dict[str, Any] = msgspec.json.decode(b"{" + event.body)
    return decoded


def told(event: Event) -> tuple[int, str, str]:
    """Where an event stands, what it is, and what its message says or why it says nothing."""
    body = event_json(event)
    content = body["message"]["content"]
    return event.pos, body["type"], content["text"] if content is not None else body["message"]["gone"]


@asynccontextmanager
async def open_core(
    url: str = MEMORY, clock: HurriedClock | None = None, writers: int = WRITERS
) -> AsyncIterator[Core]:
    """The core over a database; closed when all that was submitted is stored."""
    async with open_sql_store(url, now_ms=START_MS, writers=writers) as store:
        core = Core(store, clock)
        yield core
        await core.committer.settle()
        await core.moves.settle()
