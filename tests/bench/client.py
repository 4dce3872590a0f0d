"""One device on one socket: decodes frames, judges their order, keeps the books and acknowledges.

The socket layer is picows, which parses frames in C and calls `on_ws_frame` for each; the code under test takes no
part in it. Acknowledgements are grouped: a device acks the highest position of each source at most 50 ms after it came.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from time import perf_counter

from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from bench import frames
from bench.ledger import Ledger, Role
from bench.order import Order

ACK_AFTER = 0.040  # seconds a position waits for others; with the tick below it stays within 50 ms
ACK_TICK = 0.005
CONNECT_TIMEOUT = 60.0
READ_BUFFER = 4096  # bytes at first; with the default of 16 KiB, 15,000 sockets would take 240 MB
TEXT = WSMsgType.TEXT


@dataclass(frozen=True, slots=True)
class Seat:
    """A device that may connect: who it is, and its first frame, signed beforehand so as not to be timed."""

    user: str
    role: Role
    hello: bytes


class Acks:
    """The devices that have something to acknowledge, in the order in which it is due."""

    def __init__(self) -> None:
        """Begin with nothing due."""
        self._due: deque[tuple[float, Client]] = deque()

    def add(self, client: "Client", now: float) -> None:
        """Let `client` acknowledge soon; it is called once until it has."""
        self._due.append((now + ACK_AFTER, client))

    def flush(self, now: float) -> None:
        """Send the acknowledgements that are due."""
        due = self._due
        while due and due[0][0] <= now:
            due.popleft()[1].acknowledge()

    async def run(self) -> None:
        """Flush until cancelled."""
        while True:
            self.flush(perf_counter())
            await asyncio.sleep(ACK_TICK)


class NoAcks(Acks):
    """What lets no device acknowledge before it leaves."""

    def add(self, client: "Client", now: float) -> None:
        """Forget it."""


@asynccontextmanager
async def open_acks(acks: Acks | None = None) -> AsyncIterator[Acks]:
    """Acknowledge in the background for as long as the block lasts."""
    acks = acks or Acks()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(acks.run())
        try:
            yield acks
        finally:
            running.cancel()


class Client(WSListener):
    """A connected device. Every position of `s` must be the one after the last, from `start` on."""

    def __init__(self, seat: Seat, *, ledger: Ledger, acks: Acks, start: int = 0) -> None:
        """Prepare a device that has applied all up to position `start`."""
        super().__init__()
        self.seat = seat
        self.role = seat.role
        self.ledger = ledger
        self.order = Order(start)
        self.is_leaving = False
        self.connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.last_seq: dict[str, int] = {}  # of the conversations it sends to, as it was answered
        self.delivered: dict[str, int] = {}  # of the same, as the receipts say
        self._acks = acks
        self._unacked: dict[str, int] = {}
        self._transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Say hello as soon as the socket is open."""
        self._transport = transport
        transport.send(TEXT, self.seat.hello)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Count a socket that the server closed."""
        if not self.connected.done():
            self.connected.set_exception(ConnectionError(f"{self.seat.user}: closed before it was connected"))
        elif not self.is_leaving:
            self.ledger.tally.closed += 1

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take one frame."""
        now = perf_counter()
        if frame.msg_type != TEXT or not frame.fin:
            self._on_other_frame(transport, frame)
            return
        news = frames.decode(frame.get_payload_as_memoryview())
        if news.source is not None:
            self._on_events(news.source, news.events, now)
        elif news.send is not None and news.id is not None:
            self.ledger.on_answer(news.id, now)
            self.last_seq[news.send.conversation_id] = news.send.seq
        elif news.ping is not None:
            self.ledger.tally.pings += 1
            transport.send(TEXT, frames.PONG)
        else:
            self._on_rare(news)

    def send(self, payload: bytes) -> None:
        """Write one command, if the socket still stands."""
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.send(TEXT, payload)

    def acknowledge(self) -> None:
        """Acknowledge all that was received since the last time."""
        if self._unacked:
            self.send(frames.build_ack(self._unacked))
            self._unacked = {}

    def leave(self) -> None:
        """Acknowledge and close."""
        self.acknowledge()
        self.is_leaving = True
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.send_close()
            self._transport.disconnect()

    def _on_events(self, source: str, events: Sequence[frames.Event], now: float) -> None:
        if not self._unacked:
            self._acks.add(self, now)
        for event in events:
            if source == "s":
                verdict = self.order.judge(event.pos)
                number = frames.number_of(event.message)
                self.ledger.on_message(number, role=self.role, verdict=verdict, now=now)
            elif event.receipt is not None:
                self._on_receipt(event.receipt)
            self._unacked[source] = max(event.pos, self._unacked.get(source, 0))

    def _on_receipt(self, receipt: frames.Receipt) -> None:
        self.ledger.tally.receipts += 1
        if receipt.delivered is not None:
            known = self.delivered.get(receipt.conversation_id, 0)
            self.delivered[receipt.conversation_id] = max(known, receipt.delivered.standard)

    def _on_rare(self, news: frames.Frame) -> None:
        if news.connect is not None:
            self.connected.set_result(None)
        elif news.error is not None and not self.connected.done():
            self.connected.set_exception(ConnectionError(f"{news.error.code}: {news.error.message}"))
        elif news.error is not None:
            self.ledger.tally.refused[news.error.code] += 1
        elif news.disconnect is not None:
            self.ledger.tally.refused[f"disconnect {news.disconnect.code} {news.disconnect.reason}"] += 1

    def _on_other_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
        elif frame.msg_type not in (WSMsgType.PING, WSMsgType.PONG):
            self.ledger.tally.strange += 1


async def connect(seat: Seat, *, url: str, ledger: Ledger, acks: Acks) -> Client:
    """Open the socket of one device and wait until the server has answered its hello."""
    client = Client(seat, ledger=ledger, acks=acks)
    await ws_connect(
        lambda: client,
        url,
        websocket_handshake_timeout=CONNECT_TIMEOUT,
        enable_auto_ping=False,
        read_buffer_init_size=READ_BUFFER,
        use_aiofastnet=False,
        extra_headers={"Sec-WebSocket-Protocol": "aldis.v1"},
    )
    async with asyncio.timeout(CONNECT_TIMEOUT):
        await client.connected
    return client


async def connect_all(seats: Sequence[Seat], *, url: str, ledger: Ledger, acks: Acks, at_once: int) -> list[Client]:
    """Connect every seat, `at_once` handshakes at a time; one that fails ends the scenario."""
    clients: list[Client] = []
    waiting = iter(seats)

    async def work() -> None:
        for seat in waiting:  # shared: each worker takes the next
            client = await connect(seat, url=url, ledger=ledger, acks=acks)
            clients.append(client)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(at_once, len(seats))):
            tasks.create_task(work())
    return clients


async def leave_all(clients: Iterable[Client]) -> None:
    """Close the sockets and give the server a moment to notice."""
    for client in clients:
        with suppress(WSError, OSError):
            client.leave()
    await asyncio.sleep(1)
