"""Streams over HTTP, as the HTTP room asks the gateway for them.

Guarantees: what is handed over is what a socket would have been given, in the same order, with the cursor after each
piece; what is not taken waits in the store. A stream ends when its token does, or when the process drains.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from aldis.domain.cursors import Cursor
from aldis.domain.ids import DeviceId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRequest:
    """Who reads, from where; `device` None moves nothing; `expires_at` is the token's end, Unix seconds."""

    user: UserId
    device: DeviceId | None
    cursor: Cursor | None
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """Frames as a socket would have got them, JSON each; `cursor` is where the reader stands after them."""

    frames: list[bytes]
    cursor: str
    recovered: bool


class HttpStreams(Protocol):
    """Opens streams. Both raise `Rejected` for too many connections or devices, `Unavailable` without the store."""

    async def events(self, request: StreamRequest) -> AsyncGenerator[bytes]:
        """Open a stream of server-sent events; close the generator to leave."""
        ...

    async def poll(self, request: StreamRequest, wait: float) -> Poll:
        """What there is to be told; when there is nothing, what comes first within `wait` seconds."""
        ...
