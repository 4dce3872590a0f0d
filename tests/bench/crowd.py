"""Many sockets that hear the same messages, received as cheaply as Python can, so that the generator is no limit.

Every socket's every frame is looked at: messages are numbered in their text, the number is found by its marker and
must come where it came for all the others. Nothing else is decoded. One epoll watches all sockets and is itself
watched by the event loop; a socket costs neither a transport nor a callback of its own.

A delivery's time is the kernel's: when its bytes arrived at the socket, not when this process, which reads thousands of
sockets on one core, got round to it. How long that took is told beside it.
"""

import asyncio
import select
import socket
import struct
import time
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter

from bench import wire
from bench.common_order import CommonOrder, Hearing
from bench.frames import NUMBER_LENGTH
from bench.order import Verdict
from bench.process import HOST

MARKER = b'"text":"'
MARKED = len(MARKER)
READ = 64 * 1024  # bytes at a time
AT_ONCE = 128  # sockets between two turns of whatever else runs on the loop
CONNECT_TIMEOUT = 60.0
_TIMESTAMP = 35  # SO_TIMESTAMPNS of Linux, which Python does not name
_STAMP = struct.Struct("qq")
_STAMP_SPACE = socket.CMSG_SPACE(_STAMP.size)


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
    """One socket: what of a frame has come so far, and how far it is in the common order."""

    __slots__ = ("hearing", "rest", "socket")

    def __init__(self, opened: socket.socket) -> None:
        """Begin before the first message."""
        self.socket = opened
        self.rest = b""
        self.hearing = Hearing()


class Books:
    """What all sockets together have received in one phase, whose messages begin with the number `first`."""

    def __init__(self, first: int = 0) -> None:
        """Begin at nought."""
        self.first = first
        self.intended = array("d")  # when message `first + n` was meant to be sent
        self.times = array("d")  # of each delivery
        self.delays = array("d")  # seconds of each delivery from its intended time
        self.pickups = array("d")  # seconds that each delivery lay in the socket
        self.order = CommonOrder()
        self.verdicts: Counter[Verdict] = Counter()
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
        self._skew = _read_skew()
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
            listener.hearing = Hearing()
        self._skew = _read_skew()
        self.books = Books(first)
        self.books.intended = times
        return range(first, self._first_free)

    def missing(self) -> int:
        """Count, over all sockets that still stand, the messages of the phase that have not come."""
        total = len(self.books.intended)
        return sum(total - listener.hearing.distinct for listener in self._by_fd.values())

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
        listener.socket.setsockopt(socket.SOL_SOCKET, _TIMESTAMP, 1)
        self._by_fd[listener.socket.fileno()] = listener
        self._epoll.register(listener.socket.fileno(), select.EPOLLIN)
        if data:
            self._take(listener, data, perf_counter())

    def _on_ready(self) -> None:
        for fd, _ in self._epoll.poll(0, AT_ONCE):
            listener = self._by_fd[fd]
            try:
                data, notes, _, _ = listener.socket.recvmsg(READ, _STAMP_SPACE)
            except BlockingIOError:
                continue
            except OSError:
                data, notes = b"", []
            if data:
                self._take(listener, data, self._arrival(notes))
            else:
                self._lose(listener)

    def _arrival(self, notes: list[tuple[int, int, bytes]]) -> float:
        """When the kernel had the last of what was read, by the clock that everything else goes by."""
        if not notes:
            return perf_counter()
        seconds, nanoseconds = _STAMP.unpack(notes[0][2])
        return float(seconds - self._skew + nanoseconds * 1e-9)

    def _take(self, listener: Listener, data: bytes, arrived: float) -> None:
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
                self._on_message(listener.hearing, int(data[text : text + NUMBER_LENGTH]), arrived)
                found = data.find(MARKER, text, stop)

    def _on_message(self, hearing: Hearing, number: int, arrived: float) -> None:
        books = self.books
        if number < books.first:
            books.strange["of an earlier phase"] += 1
            return
        books.verdicts[books.order.judge(hearing, number)] += 1
        books.times.append(arrived)
        books.delays.append(arrived - books.intended[number - books.first])
        books.pickups.append(perf_counter() - arrived)

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


def _read_skew() -> float:
    """How far the wall clock, which the kernel stamps by, is ahead of the clock of latencies."""
    return time.time() - perf_counter()


async def _read_until(opened: socket.socket, is_enough: Callable[[bytes], bool], data: bytes) -> bytes:
    while not is_enough(data):
        more = await asyncio.get_running_loop().sock_recv(opened, READ)
        if not more:
            raise ConnectionError(f"the server closed the socket: {data[:200]!r}")
        data += more
    return data
