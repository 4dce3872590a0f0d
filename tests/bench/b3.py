"""B3: one broadcast to all who hear a channel on one gateway, and the same from Centrifuge in the same run.

A backend posts into a Broadcast channel, each post committed to the disk before it is answered; sockets of as many
users hear it, without a device, so that nobody acknowledges, as nobody does at the peer. `Everyone` is a channel that
all hear, `Subscribers` one that each has subscribed to. The peer is the library that Centrifugo 6 is made of, in
memory, pinned and fed the same text at the same rate by the same generator, one after the other.

How to read it: `delivery` counts from when a message was meant to be sent until it has come out of a socket, all
sockets taken together; the target is half of the peer's p99 and as many deliveries. `server CPU each delivery` says
how far each could go. Every socket's every message is counted and must come in order.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from bench import frames, tokens
from bench.backend import Backend
from bench.crowd import ALDIS, CENTRIFUGE, Crowd
from bench.fanout import Heard, Requests, broadcast
from bench.figures import Figure, Target
from bench.lines import build_request, open_lines
from bench.peer import CHANNEL, NoPeerError, Peer, build_peer, open_peer, peer_version
from bench.results import FOLDER
from bench.scenario import HANDSHAKES_AT_ONCE, Measured, Options, Scenario, no_collector, tell
from bench.server import Server

LINES = 8
WARM_UP_SECONDS = 2
EVERYONE, SUBSCRIBERS = "everyone", "subscribers"
AS_MANY = Target(limit=0.98, at_least=True)
HALF = Target(limit=0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How many hear how many broadcasts a second."""

    sockets: int
    rate: int

    def __str__(self) -> str:
        """Name it as a column is named."""
        return f"{self.sockets:,} at {self.rate}/s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The loads, and for how long each."""

    loads: tuple[Load, ...]
    seconds: int


FULL = Size(loads=(Load(sockets=1_000, rate=80), Load(sockets=5_000, rate=12)), seconds=10)
QUICK = Size(loads=(Load(sockets=100, rate=40),), seconds=3)


async def measure(server: Server, options: Options) -> list[Figure]:
    """For each load: everyone, the peer, the subscribers; one after the other on the same core."""
    size = QUICK if options.quick else FULL
    backend = Backend(server)
    for audience in (EVERYONE, SUBSCRIBERS):
        backend.declare(audience, {"type": "Broadcast", "audience": audience.capitalize()})
    figures: list[Figure] = []
    with _peer_or_none() as peer:
        for load in size.loads:
            everyone = await _hear_ours(server, backend, load, size.seconds, audience=EVERYONE)
            theirs = await _hear_peer(peer, load, size.seconds) if peer else None
            subscribers = await _hear_ours(server, backend, load, size.seconds, audience=SUBSCRIBERS)
            figures += [*_compared(everyone, theirs), *_compared(subscribers, theirs)]
            figures += theirs.figures if theirs else []
    return figures


def _compared(ours: Heard, theirs: Heard | None) -> list[Figure]:
    """Add to our figures what they are to the peer's, if there is one."""
    if theirs is None:
        return ours.figures
    column = ours.figures[0].column
    return [
        *ours.figures,
        Figure(name="delivered to the peer's", column=column, value=ours.delivered / theirs.delivered, target=AS_MANY),
        Figure(name="p99 to the peer's", column=column, value=ours.p99 / theirs.p99, target=HALF),
    ]


@contextmanager
def _peer_or_none() -> Iterator[Peer | None]:
    try:
        binary = build_peer()
    except NoPeerError as error:
        tell(f"B3: the peer is missing, so there are only our own figures: {error}")
        yield None
        return
    with open_peer(binary, log=FOLDER / "B3.peer.log") as peer:
        yield peer


async def _hear_ours(server: Server, backend: Backend, load: Load, seconds: int, *, audience: str) -> Heard:
    users = [f"{audience}-{load.sockets}-{number:05d}" for number in range(load.sockets)]
    signed = {user: tokens.sign(user, secret=server.secret) for user in users}
    if audience == SUBSCRIBERS:
        await backend.subscribe_all(signed, channel=audience)
    hellos = [frames.build_reader_connect(token=token) for token in signed.values()]
    async with _crowd(server.port, hellos, is_ours=True) as crowd:
        return await _run(
            crowd, Broadcasts(backend, audience), load, seconds, f"{load} {audience}", server, server.port
        )


async def _hear_peer(peer: Peer, load: Load, seconds: int) -> Heard:
    async with _crowd(peer.port, [b'{"id":1,"connect":{}}'] * load.sockets, is_ours=False) as crowd:
        return await _run(crowd, Publications(peer.port), load, seconds, f"{load} peer", peer, peer.port)


@asynccontextmanager
async def _crowd(port: int, hellos: Sequence[bytes], *, is_ours: bool) -> AsyncIterator[Crowd]:
    crowd = Crowd(port=port, dialect=ALDIS if is_ours else CENTRIFUGE)
    async with crowd.receiving():
        await crowd.join_all(hellos, at_once=HANDSHAKES_AT_ONCE)
        yield crowd


async def _run(
    crowd: Crowd, requests: Requests, load: Load, seconds: int, column: str, server: Measured, port: int
) -> Heard:
    with no_collector():
        async with open_lines(port, LINES) as lines:
            _ = await broadcast(
                crowd, lines, requests, rate=load.rate, seconds=WARM_UP_SECONDS, column=column, server=server
            )
            heard = await broadcast(
                crowd, lines, requests, rate=load.rate, seconds=seconds, column=column, server=server
            )
    tell(f"B3: {column}: {heard.delivered:,.0f} deliveries/s, p99 {heard.p99:.1f} ms {dict(crowd.books.strange) or ''}")
    return heard


class Broadcasts(Requests):
    """Posts into a channel of ours."""

    def __init__(self, backend: Backend, channel: str) -> None:
        """Post into `channel`."""
        self._backend = backend
        self._channel = channel

    def build(self, number: int) -> bytes:
        """Return the request that broadcasts message `number`."""
        return self._backend.post({"to": {"channel": self._channel}, "content": frames.content_of(number)})


class Publications(Requests):
    """Publications at the peer, by the call that Centrifugo has."""

    def __init__(self, port: int) -> None:
        """Publish at this port."""
        self._port = port

    def build(self, number: int) -> bytes:
        """Return the request that publishes message `number`."""
        body = frames.encode({"channel": CHANNEL, "data": frames.content_of(number)})
        return build_request("POST", "/api/publish", port=self._port, body=body)


SCENARIO = Scenario(
    name="B3", title=f"broadcasts, durable, beside Centrifuge {peer_version()} in memory", measure=measure
)
