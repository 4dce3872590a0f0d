"""Rings as bytes: MessagePack, arrays without names, each ring encoded once for all nodes it goes to.

A letter is one entry of a stream: who wrote it, how many rings he had sent on that stream before, and the rings. By the
count a reader knows exactly how many were lost in between.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from aldis.domain.ids import UserId
from aldis.domain.streams import Batch, Broadcast, BroadcastEvent, BroadcastSource, Event, Source
from aldis.ports.backplane import (
    ChannelsChanged,
    Disconnect,
    Knock,
    Parting,
    Question,
    Replaced,
    Ring,
    Roll,
    Sighting,
    Whisper,
)
from aldis.ports.connections import ConnectionView


class _Batch(msgspec.Struct, array_like=True, frozen=True, tag=0):
    user: UserId
    source: Source
    at: int
    events: tuple[tuple[int, bytes, bool], ...]

    def ring(self) -> Ring:
        return Batch(self.user, self.source, tuple([Event(*event) for event in self.events]), self.at)


class _Broadcast(msgspec.Struct, array_like=True, frozen=True, tag=1):
    source: BroadcastSource
    at: int
    events: tuple[tuple[int, bytes, bool, str, int], ...]

    def ring(self) -> Ring:
        return Broadcast(self.source, tuple([BroadcastEvent(*event) for event in self.events]), self.at)


class _Knock(msgspec.Struct, array_like=True, frozen=True, tag=2):
    user: UserId

    def ring(self) -> Ring:
        return Knock(self.user)


class _Disconnect(msgspec.Struct, array_like=True, frozen=True, tag=3):
    user: UserId
    connection: str | None
    code: int
    reason: str | None

    def ring(self) -> Ring:
        return Disconnect(self.user, self.connection, self.code, self.reason)


class _Whisper(msgspec.Struct, array_like=True, frozen=True, tag=4):
    user: UserId
    body: bytes

    def ring(self) -> Ring:
        return Whisper(self.user, self.body)


class _Sighting(msgspec.Struct, array_like=True, frozen=True, tag=5):
    user: UserId
    online: bool

    def ring(self) -> Ring:
        return Sighting(self.user, self.online)


class _Parting(msgspec.Struct, array_like=True, frozen=True, tag=6):
    user: UserId
    other: UserId

    def ring(self) -> Ring:
        return Parting(self.user, self.other)


class _Replaced(msgspec.Struct, array_like=True, frozen=True, tag=7):
    user: UserId
    device: str
    connection: str

    def ring(self) -> Ring:
        return Replaced(self.user, self.device, self.connection)


class _ChannelsChanged(msgspec.Struct, array_like=True, frozen=True, tag=8):
    def ring(self) -> Ring:
        return ChannelsChanged()


class _Question(msgspec.Struct, array_like=True, frozen=True, tag=9):
    id: str
    node: str
    user: str | None
    connection: str | None
    after: str
    limit: int

    def ring(self) -> Ring:
        return Question(self.id, self.node, self.user, self.connection, self.after, self.limit)


class _Roll(msgspec.Struct, array_like=True, frozen=True, tag=10):
    question: str
    node: str
    total: int
    views: tuple[ConnectionView, ...]

    def ring(self) -> Ring:
        return Roll(self.question, self.node, self.total, self.views)


_Wire = (
    _Batch | _Broadcast | _Knock | _Disconnect | _Whisper | _Sighting | _Parting
    | _Replaced | _ChannelsChanged | _Question | _Roll
)  # fmt: skip


class Letter(NamedTuple):
    """What one process sent at once on one stream."""

    writer: str
    sent_before: int
    rings: list[Ring]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[str, int, list[_Wire]]).decode


def encode_ring(ring: Ring) -> bytes:
    """A ring, to be put into any number of letters."""
    return _encode(_WIRES[type(ring)](ring))


def encode_letter(writer: str, sent_before: int, rings: Sequence[bytes]) -> bytes:
    """A letter of encoded rings."""
    return _encode((writer, sent_before, [msgspec.Raw(ring) for ring in rings]))


def decode_letter(data: bytes) -> Letter:
    """Read a letter. Raises `ValueError` for one that cannot be read, as a newer version may write them."""
    writer, sent_before, rings = _decode(data)
    return Letter(writer, sent_before, [wire.ring() for wire in rings])


def _wire_batch(ring: Batch) -> _Batch:
    return _Batch(ring.user, ring.source, ring.at, tuple([(event.pos, event.body, event.own) for event in ring.events]))


def _wire_broadcast(ring: Broadcast) -> _Broadcast:
    events = [(event.pos, event.body, event.own, event.channel, event.audience) for event in ring.events]
    return _Broadcast(ring.source, ring.at, tuple(events))


_WIRES: dict[type[Ring], Callable[..., _Wire]] = {
    Batch: _wire_batch,
    Broadcast: _wire_broadcast,
    Knock: lambda ring: _Knock(*ring),
    Disconnect: lambda ring: _Disconnect(*ring),
    Whisper: lambda ring: _Whisper(*ring),
    Sighting: lambda ring: _Sighting(*ring),
    Parting: lambda ring: _Parting(*ring),
    Replaced: lambda ring: _Replaced(*ring),
    ChannelsChanged: lambda _ring: _ChannelsChanged(),
    Question: lambda ring: _Question(*ring),
    Roll: lambda ring: _Roll(*ring),
}
