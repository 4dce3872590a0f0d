"""Many sockets that hear the same messages, received as cheaply as Python can, so that the generator is no limit.

Every socket's every frame is looked at: messages are numbered in their text, the number is found by its marker and
must be the one after the last on that socket. Nothing else is decoded. One epoll watches all sockets and is itself
watched by the event loop; a socket costs neither a transport nor a callback of its own.
"""

import asyncio
import select
import socket
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter

from bench import wire
from bench.frames import NUMBER_LENGTH
from bench.order import Order, Verdict
from bench.process import HOST

MARKER = b'"text":"'
MARKED = len(MARKER)
READ = 64 * 1024  # bytes at a time
AT_ONCE = 128  # sockets between two turns of whatever else runs on the loop
CONNECT_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a server is spoken to."""

    path: str
    ping: bytes
    pong: bytes
    subprotocol: str | None = None


ALDIS = Dialect(path="/v1/connect", ping=b'{"ping":{}}', pong=b'{"pong":{}}', subprotocol="aldis.v1")
CENTRIFUGE = Dialect(path="/connection/websocket", ping=b"{}", pong=b"{}")


class Listener:
    """One socket: what of a frame has come so far, and the numbers it has had."""

    __slots__ = ("order", "rest", "socket")

    def __init__(self, opened: socket.socket) -> None:
        """Begin before the first message."""
        self.socket = opened
        self.rest = b""
        self.order = Order(-1)


class Books:
    """What all sockets together have received in one phase, whose messages begin with the number `first`."""

    def __init__(self, first: int = 0) -> None:
        """Begin at nought."""
        self.first = first
        self.intended = array("d")  # when message `first + n` was meant to be sent
        self.delays = array("d")  # seconds of each delivery from then
        self.times = array("d")  # of each delivery
        self.verdicts: Counter[Verdict] = Counter()  # of what did not come as the next
        self.closed = 0
        self.pings = 0
        self.strange: Counter[str] = Counter()


class Crowd:
    """The sockets, in the order in which they joined."""

    def __init__(self, *, port: int, dialect: Dialect) -> None:
        """Begin with nobody."""
        self._port = port
        self._dialect = dialect
        self._epoll = select.epoll()
        self._by_fd: dict[int, Listener] = {}
        self._first_free = 0
        self.books = Books()

    @asynccontextmanager
    async def receiving(self) -> AsyncIterator[None]:
        """Receive for as long as the block lasts, and then close all sockets."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._epoll.fileno(), self._on_ready)
        try:
            yield
        finally:
            loop.remove_reader(self._epoll.fileno())
            for listener in self._by_fd.values():
                listener.socket.close()
            self._epoll.close()

    async def join_all(self, hellos: Sequence[bytes], *, at_once: int) -> None:
        """Connect a socket for each first frame, `at_once` handshakes at a time."""
        waiting = iter(hellos)

        async def work() -> None:
            for hello in waiting:  # shared: each worker takes the next
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    await self._join(hello)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(at_once, len(hellos))):
                tasks.create_task(work())

    def start_phase(self, intended: Iterable[float]) -> range:
        """Begin new books for messages that are meant to be sent at these times, and return their numbers."""
        times = array("d", intended)
        first, self._first_free = self._first_free, self._first_free + len(times)
        for listener in self._by_fd.values():
            listener.order = Order(first - 1)
        self.books = Books(first)
        self.books.intended = times
        return range(first, self._first_free)

    def missing(self) -> int:
        """Count, over all sockets that still stand, the messages of the phase that have not come."""
        last = self._first_free - 1
        return sum(last - listener.order.last + len(listener.order.gaps) for listener in self._by_fd.values())

    @property
    def size(self) -> int:
        """How many sockets stand."""
        return len(self._by_fd)

    def send_all(self, payload: Callable[[Listener], bytes | None]) -> None:
        """Write a frame to each socket for which there is one."""
        for listener in tuple(self._by_fd.values()):
            said = payload(listener)
            if said is not None:
                listener.socket.send(wire.client_frame(said))

    async def _join(self, hello: bytes) -> None:
        loop = asyncio.get_running_loop()
        opened = socket.socket()
        opened.setblocking(False)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(opened, (HOST, self._port))
        request = wire.upgrade_request(
            host=f"{HOST}:{self._port}", path=self._dialect.path, subprotocol=self._dialect.subprotocol
        )
        await loop.sock_sendall(opened, request)
        data = await _read_until(opened, lambda data: b"\r\n\r\n" in data, b"")
        head, _, data = data.partition(b"\r\n\r\n")
        if b" 101 " not in head:
            raise ConnectionError(f"no socket was opened: {head[:200]!r}")
        await loop.sock_sendall(opened, wire.client_frame(hello))
        data = await _read_until(opened, lambda data: bool(wire.cut(data)[0]), data)
        frames, _ = wire.cut(data)
        _, start, stop = frames[0]
        if b'"connect"' not in data[start:stop]:
            raise ConnectionError(f"the server did not welcome it: {data[start:stop][:300]!r}")
        self._welcome(Listener(opened), data[stop:])

    def _welcome(self, listener: Listener, data: bytes) -> None:
        listener.order = Order(self._first_free - 1)
        self._by_fd[listener.socket.fileno()] = listener
        self._epoll.register(listener.socket.fileno(), select.EPOLLIN)
        if data:
            self._take(listener, data, perf_counter())

    def _on_ready(self) -> None:
        for fd, _ in self._epoll.poll(0, AT_ONCE):
            listener = self._by_fd[fd]
            try:
                data = listener.socket.recv(READ)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if data:
                self._take(listener, data, perf_counter())
            else:
                self._lose(listener)

    def _take(self, listener: Listener, data: bytes, now: float) -> None:
        if listener.rest:
            data = listener.rest + data
        frames, rest = wire.cut(data)
        listener.rest = data[rest:]
        for first, start, stop in frames:
            found = data.find(MARKER, start, stop)
            if found < 0 or first != wire.TEXT:
                self._on_other(listener, first, data[start:stop])
            while found >= 0:
                text = found + MARKED
                self._on_message(listener.order, int(data[text : text + NUMBER_LENGTH]), now)
                found = data.find(MARKER, text, stop)

    def _on_message(self, order: Order, number: int, now: float) -> None:
        books = self.books
        if number < books.first:
            books.strange["of an earlier phase"] += 1
            return
        if number == order.last + 1:
            order.last = number
        else:
            books.verdicts[order.judge(number)] += 1
        books.times.append(now)
        books.delays.append(now - books.intended[number - books.first])

    def _on_other(self, listener: Listener, first: int, payload: bytes) -> None:
        if first == wire.CLOSE:
            self._lose(listener)
        elif first == wire.PING:
            listener.socket.send(wire.client_frame(payload, first=wire.PONG))
        elif payload == self._dialect.ping:
            self.books.pings += 1
            listener.socket.send(wire.client_frame(self._dialect.pong))
        elif b'"source":"r"' not in payload:  # its own state, which is no news to this measurement
            self.books.strange[payload[:60].decode(errors="replace")] += 1

    def _lose(self, listener: Listener) -> None:
        if self._by_fd.pop(listener.socket.fileno(), None) is not None:
            self.books.closed += 1
            self._epoll.unregister(listener.socket.fileno())
            listener.socket.close()


async def _read_until(opened: socket.socket, is_enough: Callable[[bytes], bool], data: bytes) -> bytes:
    while not is_enough(data):
        more = await asyncio.get_running_loop().sock_recv(opened, READ)
        if not more:
            raise ConnectionError(f"the server closed the socket: {data[:200]!r}")
        data += more
    return data
