"""The streams of a node, and which ring goes on which.

Express is read before standard, and whatever a backlog of either looks like, what is ephemeral waits for neither and is
shed first: its stream is short.
"""

from typing import Final

from aldis.domain.streams import EXPRESS, Batch, Broadcast
from aldis.ports.backplane import Knock, Ring, Sighting, Whisper

ALL: Final = "*"
"""In place of a node: the streams that every node reads. No node is called so."""

EXPRESS_LANE: Final = "express"
STANDARD_LANE: Final = "standard"
WHISPERED: Final = "whispered"

LANES = (EXPRESS_LANE, STANDARD_LANE, WHISPERED)
COMMON_LANES = (EXPRESS_LANE, STANDARD_LANE)
"""Those that every node reads: broadcasts ride on them."""

MOST_LETTERS = {EXPRESS_LANE: 4_000, STANDARD_LANE: 4_000, WHISPERED: 200}
"""About so many are kept for a reader that is away: at 16 KiB each at most 64 MB a lane, some seconds of a busy node.
Whoever falls behind further reads the store, which is cheaper by then."""

STREAM_SECONDS = 30
"""How long a stream stays when its node no longer reads it, and a letter in any: what was missed is healed by then, and
what people write does not lie about in Redis."""


def lane_of(ring: Ring) -> str:
    """Which of a node's streams carries a ring."""
    if isinstance(ring, (Batch, Broadcast)):
        return EXPRESS_LANE if ring.source in {EXPRESS, "be"} else STANDARD_LANE
    if isinstance(ring, (Whisper, Sighting)):
        return WHISPERED
    return STANDARD_LANE if isinstance(ring, Knock) else EXPRESS_LANE
