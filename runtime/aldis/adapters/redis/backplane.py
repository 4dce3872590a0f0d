"""The backplane on Redis streams: one short stream a node and lane, and one for all nodes.

Ringing never waits for Redis: rings are gathered, and while one pipeline is under way the next fills. Nodes of this
very process are called at once, as in memory. A node makes its streams and keeps them alive; ringing never makes one,
so nothing piles up for a node that is gone. What does not fit, or meets an absent Redis, is dropped and counted.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import structlog

from aldis.adapters.redis.encoding import decode_letter, encode_letter, encode_ring
from aldis.adapters.redis.lanes import ALL, COMMON_LANES, LANES, MOST_LETTERS, lane_of
from aldis.adapters.redis.link import Command, RedisLink
from aldis.adapters.redis.listening import StreamReader
from aldis.domain.errors import Unavailable
from aldis.ports.backplane import Ring
from aldis.telemetry.metrics import Metrics
from aldis.telemetry.tasks import cancel_and_wait, spawn

LETTER_BYTES = 16 * 1024  # a letter is closed when it has so many
LETTER_RINGS = 200
TRIP_LETTERS = 100  # in one pipeline
WAITING_BYTES = 8 * 1024 * 1024  # of rings that wait for the pipeline under way; a second of a busy process
SETTLE_SECONDS = 2.0
COUNTS = 10_000  # that are remembered, of what was sent and heard; then they are begun anew, and no loss is seen

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

Listener = Callable[[Sequence[Ring]], None]
Place = tuple[str, str]  # node and lane


class _Letter(NamedTuple):
    place: Place
    sent_before: int
    rings: Sequence[bytes]


class RedisBackplane:
    """Doorbells between the processes that use one Redis. Make it with `open_redis_backplane`."""

    def __init__(self, link: RedisLink, *, metrics: Metrics) -> None:
        self._link = link
        self._writer = secrets.token_hex(6)
        self._listeners: dict[str, Listener] = {}
        self._waiting: dict[Place, deque[bytes]] = {}
        self._waiting_bytes = 0
        self._sent: dict[Place, int] = {}
        self._sender: asyncio.Task[None] | None = None
        self._heard: dict[tuple[str, str], int] = {}  # what each writer has sent on each stream, as far as we know
        self._taken = metrics.rings.labels(outcome="taken")
        self._dropped = metrics.rings.labels(outcome="dropped")
        self._unknown = metrics.rings.labels(outcome="unknown_node")

    async def ring(self, rings: Mapping[str, Sequence[Ring]]) -> None:
        """Send rings to nodes. Never waits: a node of this process has been called, the others will be written to."""
        encoded: dict[int, bytes] = {}  # of rings that go to several nodes
        for node, batch in rings.items():
            listener = self._listeners.get(node)
            if listener is not None:
                self._call(node, listener, batch)
            else:
                self._post(node, batch, encoded)

    async def ring_all(self, rings: Sequence[Ring]) -> None:
        """Send rings to every node, likewise."""
        for node, listener in tuple(self._listeners.items()):
            self._call(node, listener, rings)
        self._post(ALL, rings, {})

    @asynccontextmanager
    async def listen(self, node: str, on_ring: Listener) -> AsyncIterator[None]:
        """Call `on_ring` while the block is open; while Redis is away, with what is rung in this process alone."""
        own = StreamReader(
            self._link, [self._key(node, lane) for lane in LANES], lambda key, data: self._open(node, key, data)
        )
        common = StreamReader(
            self._link, [self._key(ALL, lane) for lane in COMMON_LANES], lambda key, data: self._open(node, key, data)
        )
        self._listeners[node] = on_ring
        try:
            async with own.reading(), common.reading():
                yield
        finally:
            if self._listeners.get(node) is on_ring:
                del self._listeners[node]

    async def settle(self) -> None:
        """Wait a moment until what was rung is written."""
        if self._sender is not None:
            await asyncio.wait([self._sender], timeout=SETTLE_SECONDS)
        if self._sender is not None:
            await cancel_and_wait(self._sender)

    # -- what is written ----------------------------------------------------------------------------------------

    def _post(self, node: str, rings: Sequence[Ring], encoded: dict[int, bytes]) -> None:
        if self._link.is_away:
            self._dropped.inc(len(rings))
            return
        for ring in rings:
            data = encoded.get(id(ring))
            if data is None:
                data = encoded[id(ring)] = encode_ring(ring)
            if self._waiting_bytes + len(data) > WAITING_BYTES:
                self._dropped.inc()
                continue
            self._waiting_bytes += len(data)
            self._waiting.setdefault((node, lane_of(ring)), deque()).append(data)
        if self._sender is None and self._waiting:
            self._sender = spawn(self._send(), "redis-ring")

    async def _send(self) -> None:
        try:
            while self._waiting:
                await self._send_letters(self._take_letters())
        finally:
            self._sender = None

    def _take_letters(self) -> list[_Letter]:
        """What goes into the next pipeline, express first."""
        letters: list[_Letter] = []
        for place in sorted(self._waiting, key=lambda place: LANES.index(place[1])):
            sent, waiting = self._sent.get(place, 0), self._waiting[place]
            while waiting and len(letters) < TRIP_LETTERS:
                rings = _cut(waiting)
                letters.append(_Letter(place, sent, rings))
                sent += len(rings)
            if not waiting:
                del self._waiting[place]
        self._waiting_bytes -= sum(len(data) for letter in letters for data in letter.rings)
        return letters

    async def _send_letters(self, letters: Sequence[_Letter]) -> None:
        try:
            ids = await self._link.run([self._command(letter) for letter in letters])
        except Unavailable as error:
            lost = sum(len(letter.rings) for letter in letters)
            self._dropped.inc(lost)
            log.warning("rings_dropped", reason=error.message, rings=lost)
            return
        if len(self._sent) >= COUNTS:
            self._sent.clear()
        for letter, entry_id in zip(letters, ids, strict=True):
            if entry_id is None:
                self._unknown.inc(len(letter.rings))
                self._sent.pop(letter.place, None)
            else:
                self._sent[letter.place] = letter.sent_before + len(letter.rings)

    def _command(self, letter: _Letter) -> Command:
        node, lane = letter.place
        only_if_there = () if node == ALL else ("NOMKSTREAM",)
        data = encode_letter(self._writer, letter.sent_before, letter.rings)
        key = self._key(node, lane)
        return ("XADD", key, *only_if_there, "MAXLEN", "~", MOST_LETTERS[lane], "*", "d", data)

    def _key(self, node: str, lane: str) -> str:
        return self._link.keyspace.stream(node, lane)

    # -- what is read -------------------------------------------------------------------------------------------

    def _open(self, node: str, key: str, data: bytes) -> None:
        """Hand on what is in a letter, and count what got lost before it."""
        try:
            letter = decode_letter(data)
        except ValueError:
            self._dropped.inc()
            log.warning("letter_unreadable", stream=key)  # written by a newer version, perhaps
            return
        if letter.writer == self._writer:
            return  # our own broadcast, which our nodes have
        place = (key, letter.writer)
        lost = letter.sent_before - self._heard.get(place, letter.sent_before)
        if lost > 0:
            self._dropped.inc(lost)
        if len(self._heard) >= COUNTS:
            self._heard.clear()
        self._heard[place] = letter.sent_before + len(letter.rings)
        listener = self._listeners.get(node)
        if listener is not None:
            self._call(node, listener, letter.rings)

    def _call(self, node: str, listener: Listener, batch: Sequence[Ring]) -> None:
        """Call one listener; its mistake is not the ringer's, whose message is already stored."""
        try:
            listener(batch)
        except Exception:
            self._dropped.inc(len(batch))
            log.exception("ring_dropped", node=node, rings=len(batch))
        else:
            self._taken.inc(len(batch))


def _cut(waiting: deque[bytes]) -> list[bytes]:
    """The next letter's rings."""
    rings: list[bytes] = []
    size = 0
    while waiting and len(rings) < LETTER_RINGS and (not rings or size + len(waiting[0]) <= LETTER_BYTES):
        size += len(waiting[0])
        rings.append(waiting.popleft())
    return rings


@asynccontextmanager
async def open_redis_backplane(link: RedisLink, *, metrics: Metrics) -> AsyncGenerator[RedisBackplane]:
    """A backplane that has written, at the end, what was rung."""
    backplane = RedisBackplane(link, metrics=metrics)
    try:
        yield backplane
    finally:
        await backplane.settle()
