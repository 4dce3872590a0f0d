"""B1: the load of B2 on production stores with one gateway, and all features on.

The same 5,000 pairs of users and 15,000 sockets, 50 pairs active in each second, now on `aldis gateway` and
`aldis worker` with PostgreSQL (every commit synced to the disk), RabbitMQ and Redis. Tokens are verified, limits
counted, all devices acknowledge and senders are told, and all events are kept by RabbitMQ in a queue.

How to read it: as B2. The gateway has a core and the generator has one; PostgreSQL, RabbitMQ, Redis and the worker run
beside them on both, so what all processes use together has to fit into two cores. `… CPU each` is the milliseconds of a
core that each process spends on one message, from the first of a phase to the last receipt of it; `gateway CPU each` of
0.2 ms would let one gateway go to 5,000 a second if it were alone on its core.
"""

from bench.b2 import measure_pairs
from bench.exchange import Goals
from bench.figures import Figure, Target
from bench.scenario import Options, Scenario
from bench.server import Server

SPEED = Target(limit=5_000, at_least=True)
GOALS = Goals(scenario="B1", latencies={"recipient p50": Target(limit=5), "recipient p99": Target(limit=20)})


async def measure(server: Server, options: Options) -> list[Figure]:
    """Measure the production stores."""
    return await measure_pairs(server, options, goals=GOALS, speed=SPEED)


SCENARIO = Scenario(
    name="B1",
    title="one-to-one, durable, production stores, one gateway, all features on",
    measure=measure,
    gateways=1,
)
