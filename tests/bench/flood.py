"""FLOOD: what is urgent waits for nothing that is not, neither for one user's own backlog nor for a flood to others.

`backlog`: 10,000 low notifications wait for a user. An urgent one is sent too, then the device connects: the
urgent one must be the first event on the wire. While the phone goes on reading half a megabyte a second, more urgent
ones are sent; `low in front` are the low ones that came between the answer to an urgent one and its arrival, which is
what lay in the two kernels and the socket's buffer and could not be called back.

`quiet` and `flooded`: an urgent notification and a chat of high priority, each 20 times a second, to connected users;
first alone, and then while a backend sends low notifications to 1,000 others in batches and broadcasts to 500 sockets.
`delay at p99` is what the flood adds, and has the target.
"""

from bench.backend import Backend
from bench.backlog import overtake
from bench.figures import Figure
from bench.flooding import Load, compare
from bench.scenario import Options, Scenario, no_collector
from bench.server import Server

ALERTS, NEWS = "alerts", "bulk-news"
FULL = Load(listeners=500, others=1_000, bulk_rate=1_000, broadcast_rate=10, seconds=20)
QUICK = Load(listeners=50, others=100, bulk_rate=300, broadcast_rate=5, seconds=3)
WAITING, QUICK_WAITING = 10_000, 1_000


async def measure(server: Server, options: Options) -> list[Figure]:
    """One user's backlog first, then the flood to others."""
    backend = Backend(server)
    backend.declare(ALERTS, {"type": "Notification"})
    backend.declare(NEWS, {"type": "Broadcast", "audience": "Everyone", "delivery": {"priority": "low"}})
    with no_collector():
        waiting = QUICK_WAITING if options.quick else WAITING
        overtaken = await overtake(server, backend, channel=ALERTS, waiting=waiting)
        load = QUICK if options.quick else FULL
        return [*overtaken, *await compare(server, backend, load, alerts=ALERTS, news=NEWS)]


SCENARIO = Scenario(name="FLOOD", title="urgent messages beside a backlog and a flood of low ones", measure=measure)
