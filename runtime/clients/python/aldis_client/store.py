"""Where a client keeps what it has applied, and the store that forgets when the process ends."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from aldis_client.cursor import Cursor
from aldis_client.events import Event


class Store(Protocol):
    """Keeps events and the cursor behind them, for one user on one device.

    Guarantees asked of an implementation: `apply` is one transaction and durable when it returns, because the client
    acknowledges right after; each event is an upsert, so applying one twice changes nothing. The client makes one call
    at a time. What a call raises ends the client.
    """

    async def load(self) -> Cursor | None:
        """The cursor of the last `apply`, or None when nothing was ever applied."""
        ...

    async def apply(self, events: Sequence[Event], cursor: Cursor) -> None:
        """Keep `events` and `cursor` together, or neither; `events` may be empty."""
        ...

    async def clear(self) -> None:
        """Forget everything, the cursor too: the server cannot go on from it."""
        ...


class MemoryStore:
    """Keeps all in memory: nothing survives the process, which then resumes as the server remembers its device."""

    def __init__(self) -> None:
        self.cursor: Cursor | None = None
        self.messages: dict[str, Mapping[str, Any]] = {}
        self.states: dict[str, Mapping[str, Any]] = {}

    async def load(self) -> Cursor | None:
        """The cursor, as long as this process lives."""
        return self.cursor

    async def apply(self, events: Sequence[Event], cursor: Cursor) -> None:
        """Put each message under its id and each state under its key."""
        for event in events:
            if event.message is not None:
                self.messages[str(event.message["id"])] = event.message
            else:
                self.states[event.state_key] = event.payload
        self.cursor = cursor

    async def clear(self) -> None:
        """Forget everything."""
        self.cursor = None
        self.messages.clear()
        self.states.clear()
