"""What stands in the broker, and what it is called.

For each queue `deliver.express` of the port there are `aldis.deliver.express.v1` and, for what was set aside,
`aldis.deliver.express.v1.dead`. A queue's arguments can never be changed, so its name has a version. Declaring what is
there already does nothing, so everybody does it, each time: a broker that was wiped is repaired by whoever comes first.
"""

import structlog
from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractQueue
from aio_pika.exceptions import ChannelPreconditionFailed

from aldis.domain.work import DELIVERY_LIMIT

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

Arguments = dict[str, str | int]

EVENTS = "aldis.events"  # the exchange that others bind to: part of the contract
DEAD = "aldis.dead"  # the exchange through which items are set aside
VERSION = "v1"
DEAD_ITEMS = 10_000  # in a queue of what was set aside; then the oldest ones go
DECLARE_SECONDS = 5.0  # for one declaration; a cluster that elects leaders takes a while


def work_queue(queue: str) -> str:
    """The name of a work queue."""
    return f"aldis.{queue}.{VERSION}"


def dead_queue(queue: str) -> str:
    """The name of the queue of what was set aside."""
    return f"{work_queue(queue)}.dead"


def work_arguments(queue: str, most: int) -> Arguments:
    """Replicated, bounded by refusing, and dead letters only go when the other queue has them."""
    return {
        "x-queue-type": "quorum",
        "x-max-length": most,
        "x-overflow": "reject-publish",
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": DEAD,
        "x-dead-letter-routing-key": dead_queue(queue),
        "x-dead-letter-strategy": "at-least-once",
    }


def dead_arguments() -> Arguments:
    """Replicated, and bounded by forgetting: it is for people to look at, as the database knows what is due."""
    return {"x-queue-type": "quorum", "x-max-length": DEAD_ITEMS, "x-overflow": "drop-head"}


async def declare_work(connection: AbstractConnection, queue: str, most: int) -> None:
    """A work queue and what it needs."""
    name = dead_queue(queue)
    await _declare_durable(connection, name, dead_arguments())
    async with connection.channel() as channel:
        await channel.declare_exchange(DEAD, ExchangeType.DIRECT, durable=True, timeout=DECLARE_SECONDS)
        dead = await channel.get_queue(name, ensure=False)
        await dead.bind(DEAD, name, timeout=DECLARE_SECONDS)
    await _declare_durable(connection, work_queue(queue), work_arguments(queue, most))


async def _declare_durable(connection: AbstractConnection, name: str, arguments: Arguments) -> None:
    """A queue that differs is used as it is: it was made by hand or by another version, and can hold work as well."""
    channel = await connection.channel()
    try:
        await channel.declare_queue(name, durable=True, arguments=dict(arguments), timeout=DECLARE_SECONDS)
    except ChannelPreconditionFailed:  # which has closed the channel
        log.warning("broker_queue_differs", queue=name)
    else:
        await channel.close()


async def declare_events(channel: AbstractChannel) -> AbstractExchange:
    """The exchange that events leave by."""
    return await channel.declare_exchange(EVENTS, ExchangeType.TOPIC, durable=True, timeout=DECLARE_SECONDS)


async def declare_binding(channel: AbstractChannel, topic: str, most: int) -> AbstractQueue:
    """A queue of this connection's own, bound to `topic`; it goes with its consumer."""
    exchange = await declare_events(channel)
    arguments: Arguments = {"x-max-length": most, "x-overflow": "drop-head"}
    queue = await channel.declare_queue(
        None, exclusive=True, auto_delete=True, arguments=dict(arguments), timeout=DECLARE_SECONDS
    )
    await queue.bind(exchange, topic, timeout=DECLARE_SECONDS)
    return queue
