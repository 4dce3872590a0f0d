"""A connection without a socket: what is written is kept, and how much of it lies unsent is set by the test."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

from aldis.adapters.memory.clock import START_MS
from aldis.domain.ids import DeviceId, UserId
from aldis.domain.streams import Event, Source
from aldis.gateway.connection import Connection
from aldis.gateway.context import GatewayContext
from aldis.gateway.frames import events_frame
from aldis.gateway.protocol import HubProtocol, text_frame
from aldis.telemetry.metrics import Metrics


class FakeTransport:
    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.aborted = False
        self.reading = True

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class FakeProtocol:
    def __init__(self) -> None:
        self.transport = FakeTransport()
        self.writable = asyncio.Event()
        self.writable.set()
        self.unsent = 0
        self.is_open = True
        self.closed_with: int | None = None

    def write_frame(self, frame: bytes) -> None:
        if self.is_open:
            self.transport.write(frame)

    def close_with(self, code: int, reason: str) -> None:
        self.closed_with, self.is_open = code, False


@dataclass
class FakeHub:
    removed: list[Connection] = field(default_factory=list)
    noted: list[Connection] = field(default_factory=list)
    delivered: list[tuple[Source, int]] = field(default_factory=list)

    def remove(self, connection: Connection) -> None:
        self.removed.append(connection)

    def note_sent(self, connection: Connection) -> None:
        self.noted.append(connection)

    def count_delivered(self, source: Source, events: int) -> None:
        self.delivered.append((source, events))


class FakeClock:
    def now_ms(self) -> int:
        return START_MS


@dataclass
class FakeContext:
    hub: FakeHub = field(default_factory=FakeHub)
    clock: FakeClock = field(default_factory=FakeClock)
    metrics: Metrics = field(default_factory=Metrics)
    epoch: str = "epoch"


@dataclass
class Rig:
    """A connection and what it was given."""

    protocol: FakeProtocol
    context: FakeContext
    connection: Connection

    def offer(self, source: Source, first: int, count: int = 1, *, own: bool = False) -> bool:
        """Offer live events."""
        events = [Event(first + index, b'"type":"t"}', own=own) for index in range(count)]
        return self.connection.offer(source, events, text_frame(events_frame(source, events)))

    @property
    def frames(self) -> int:
        """How many frames were written."""
        return len(self.protocol.transport.written)


def make_rig(*, device: str | None = "phone") -> Rig:
    """A connection of bob's that has not been attached."""
    protocol, context = FakeProtocol(), FakeContext()
    given: Any = (cast("HubProtocol", protocol), cast("GatewayContext", context), None)
    connection = Connection(*given)
    connection.user = UserId("bob")
    connection.device = DeviceId(device) if device is not None else None
    return Rig(protocol, context, connection)
