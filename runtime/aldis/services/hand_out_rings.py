"""Handing rings that are due to the broker, urgent lanes apart from the others, so that neither waits behind the other.

The schedule stays in the database: what a broker or a worker loses is due again when its lease ends.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from aldis.domain.streams import LANE_NAMES, LANES, Lane
from aldis.domain.work import Poison
from aldis.ports.broker import Broker
from aldis.ports.clock import Clock
from aldis.ports.deliveries import OpenRing
from aldis.ports.store import Store

LEASE_MS = 30_000  # after which what a dead worker took is anybody's
LIMIT = 500  # rings an item
QUEUES: dict[Lane, str] = {lane: f"deliver.{LANE_NAMES[lane]}" for lane in LANES}

_decoder = msgspec.json.Decoder(list[OpenRing])


async def hand_out_rings(lane: Lane, *, store: Store, broker: Broker, clock: Clock) -> int:
    """Lease rings of a lane that are due and put them into its queue as one item; answer how many."""
    now = clock.now_ms()
    rings = await store.run(lambda transaction: transaction.lease_rings(lane, now, now + LEASE_MS, LIMIT))
    if rings:
        await broker.publish(QUEUES[lane], encode_rings(rings))
    return len(rings)


def encode_rings(rings: Sequence[OpenRing]) -> bytes:
    """Rings as one item of work."""
    rows: list[Any] = [list(ring) for ring in rings]
    return msgspec.json.encode(rows)


def decode_rings(item: bytes) -> list[OpenRing]:
    """Rings out of an item. Raises `Poison` when it holds something else."""
    try:
        return _decoder.decode(item)
    except ValueError as error:
        raise Poison("the item holds no rings") from error
