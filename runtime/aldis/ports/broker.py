"""The broker: a queue of work that is due, and the topics on which events leave.

Guarantees: `publish` returns once the broker holds the item; an item is handed to one consumer, again after a failure
(at least once, in no order). The broker may lose all it holds: whoever publishes keeps the work in the database until
it is done. Items are bytes with many jobs in each. Bounded: a full queue raises `Unavailable`.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

Handler = Callable[[bytes], Awaitable[None]]


class Broker(Protocol):
    """Publish and consume."""

    async def publish(self, queue: str, item: bytes) -> None:
        """Put an item into a work queue; raises `Unavailable` when it cannot be taken."""
        ...

    async def announce(self, topic: str, payload: bytes) -> None:
        """Send events to whoever has bound to `topic` (`message.accepted` …); nobody bound is fine."""
        ...

    def consume(self, queue: str, handler: Handler) -> AbstractAsyncContextManager[None]:
        """Hand items to `handler`, one after the other, while the block is open; an item it raises on comes again."""
        ...

    def bind(self, topic: str, handler: Handler) -> AbstractAsyncContextManager[None]:
        """Hand announcements to `handler` while the block is open."""
        ...
