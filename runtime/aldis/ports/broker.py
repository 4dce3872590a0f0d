"""The broker: queues of work that is due, and the topics on which events leave.

Guarantees:
- `publish` returns once the broker holds the item safely; it raises `Unavailable` when it may not (the queue is full,
  the broker is away, blocked or slow), within seconds. The item may be there all the same.
- An item is handed to one consumer, again after a failure: at least once, in no order. What a handler raises decides:
  `Poison` sets the item aside, `Unavailable` postpones it as often as it takes, anything else lets it come again up
  to `aldis.domain.work.DELIVERY_LIMIT` times. A consumer that dies leaves its items to the others.
- The broker may lose all it holds: whoever publishes keeps the work in the database until it is done.
- `announce` returns once the broker has the events for all who are bound; nobody bound is fine.

Items are bytes with many jobs in each. A queue is named by what is done and how urgent it is: `deliver.express`.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

Handler = Callable[[bytes], Awaitable[None]]


class Broker(Protocol):
    """Publish and consume."""

    @property
    def is_heard(self) -> bool:
        """Whether an announcement could reach anybody; False spares the making of one."""
        ...

    async def publish(self, queue: str, item: bytes) -> None:
        """Put an item into a work queue; raises `Unavailable` when it cannot be taken."""
        ...

    async def announce(self, topic: str, payload: bytes) -> None:
        """Send a batch of CloudEvents to whoever has bound to `topic` (`message.accepted.chat`).

        Announcements that are begun one after the other keep their order for each listener, unless one fails.
        """
        ...

    def consume(self, queue: str, handler: Handler) -> AbstractAsyncContextManager[None]:
        """Hand items to `handler`, one after the other, while the block is open; an item it raises on comes again.

        At the end of the block the item in hand may be finished for some seconds; then its handler is cancelled.
        """
        ...

    def bind(self, topic: str, handler: Handler) -> AbstractAsyncContextManager[None]:
        """Hand announcements to `handler` while the block is open; what is announced meanwhile may be lost with us.

        `topic` is a pattern of words between dots: `*` stands for one word, `#` for any number of them.
        """
        ...
