"""The backplane of one process: to ring is to call the listener, with no queue and no task in between.

Nothing can pile up here, so nothing is dropped for want of room; what is lost is only what a listener fails on, and
that is counted like any other loss. The reader finds it in the store.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import structlog

from aldis.ports.backplane import Ring
from aldis.telemetry.metrics import Metrics

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

Listener = Callable[[Sequence[Ring]], None]


class MemoryBackplane:
    """Calls the nodes of this process."""

    def __init__(self, *, metrics: Metrics) -> None:
        self._listeners: dict[str, Listener] = {}
        self._taken = metrics.rings.labels(outcome="taken")
        self._dropped = metrics.rings.labels(outcome="dropped")
        self._unknown = metrics.rings.labels(outcome="unknown_node")

    async def ring(self, rings: Mapping[str, Sequence[Ring]]) -> None:
        """Call each node's listener; when this returns they have all been called."""
        for node, batch in rings.items():
            listener = self._listeners.get(node)
            if listener is None:
                self._unknown.inc(len(batch))
            else:
                self._call(node, listener, batch)

    async def ring_all(self, rings: Sequence[Ring]) -> None:
        """Call every listener."""
        for node, listener in tuple(self._listeners.items()):
            self._call(node, listener, rings)

    @asynccontextmanager
    async def listen(self, node: str, on_ring: Listener) -> AsyncIterator[None]:
        """Call `on_ring` while the block is open; a later listener of the same node takes its place."""
        self._listeners[node] = on_ring
        try:
            yield
        finally:
            if self._listeners.get(node) is on_ring:
                del self._listeners[node]

    def _call(self, node: str, listener: Listener, batch: Sequence[Ring]) -> None:
        """Call one listener; its mistake is not the ringer's, whose message is already stored."""
        try:
            listener(batch)
        except Exception:
            self._dropped.inc(len(batch))
            log.exception("ring_dropped", node=node, rings=len(batch))
        else:
            self._taken.inc(len(batch))
