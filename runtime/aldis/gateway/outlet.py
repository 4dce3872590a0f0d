"""What a connection writes to: a socket, or the answer of an HTTP request that stays open.

`HttpOutlet` takes the same frames as a socket's transport and keeps them until the answer's sender comes for them. Its
bounds are a socket's: a reader that does not read is not written to.
"""

import asyncio
from typing import Protocol

from aldis.gateway.protocol import HIGH_WATER

_SHORT, _MEDIUM = 126, 127  # RFC 6455 §5.2: these lengths say that two or eight bytes of length follow


class Transport(Protocol):
    """Where bytes go."""

    def write(self, data: bytes) -> None:
        """Write, without waiting."""
        ...

    def abort(self) -> None:
        """End at once."""
        ...


class Outlet(Protocol):
    """The part of a socket's protocol that connections use; frames are what `text_frame` makes."""

    @property
    def transport(self) -> Transport:
        """Where frames are written."""
        ...

    @property
    def writable(self) -> asyncio.Event:
        """Set while the reader keeps up."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether a frame may be written now."""
        ...

    @property
    def unsent(self) -> int:
        """Bytes waiting in this process."""
        ...

    def write_frame(self, frame: bytes) -> None:
        """Write a frame, if open."""
        ...

    def close_with(self, code: int, reason: str) -> None:
        """End after what was written."""
        ...

    def hold(self, reason: str) -> None:
        """Read no more from this client until the reason is gone."""
        ...

    def release(self, reason: str) -> None:
        """Read again."""
        ...


class HttpOutlet:
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        self.writable = asyncio.Event()
        self.writable.set()
        self.is_open = True
        self.welcome = b""  # what the client is told first
        self.cursor: str | None = None  # where the client stands after all that has been taken or waits
        self._waiting: list[tuple[bytes, str | None]] = []
        self._unsent = 0
        self._something = asyncio.Event()

    @property
    def transport(self) -> "HttpOutlet":
        """Itself."""
        return self

    @property
    def unsent(self) -> int:
        """Bytes that nobody has come for."""
        return self._unsent

    def write(self, data: bytes) -> None:
        """Keep a frame's payload."""
        payload = payload_of(data)
        self._waiting.append((payload, None))
        self._unsent += len(payload)
        if self._unsent > HIGH_WATER:
            self.writable.clear()
        self._something.set()

    def mark(self, cursor: str) -> None:
        """Say where the client stands after the newest payload."""
        if self._waiting:
            self._waiting[-1] = (self._waiting[-1][0], cursor)
        self.cursor = cursor

    def write_frame(self, frame: bytes) -> None:
        """Keep it, if open."""
        if self.is_open:
            self.write(frame)

    def close_with(self, code: int, reason: str) -> None:  # noqa: ARG002 - the words before it said why
        """Take nothing more; what is kept may still be taken."""
        self.is_open = False
        self._something.set()

    def abort(self) -> None:
        """Drop what is kept."""
        self.is_open = False
        self._waiting.clear()
        self._something.set()

    def hold(self, reason: str) -> None:
        """Nothing is read from the client of an answer."""

    def release(self, reason: str) -> None:
        """The same."""

    async def wait(self) -> None:
        """Until there is something to take, or nothing will come any more."""
        await self._something.wait()

    def wake(self) -> None:
        """Let who waits look again, though nothing was written."""
        self._something.set()

    def take(self) -> list[tuple[bytes, str | None]]:
        """All payloads that are kept, in order, with the cursor after each that has positions."""
        taken, self._waiting = self._waiting, []
        self._unsent = 0
        if self.is_open:
            self._something.clear()
        self.writable.set()
        return taken


def payload_of(frame: bytes) -> bytes:
    """The payload of an unmasked frame."""
    length = frame[1]
    return frame[10:] if length == _MEDIUM else frame[4:] if length == _SHORT else frame[2:]
