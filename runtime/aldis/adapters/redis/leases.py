"""The leases of nodes: who is there, and for how much longer.

A lease is a member `NODE|ID` of one sorted set, with the time (the server's) at which it ends as its score. Its id is
new each time a node has to begin anew, so whatever was written under an id that is gone is void for ever. A lease that
ran out is only asleep: it is ignored, and its node may wake it, with all that was registered under it, until it is
removed `KEPT_LEASES` later. So Redis may be away for a while without everybody having to register again.
"""

import secrets
import time
from collections.abc import Iterable, Sequence
from typing import Any

from aldis.adapters.redis.keyspace import Keyspace
from aldis.adapters.redis.link import Command

KEPT_LEASES = 10  # so many times its length a lease may sleep
FRESH_SECONDS = 1.0  # as often as nodes renew; after that others may have gone or come
REMEMBERED = 10_000  # members that are gone, values that were read: more than there are, unless something is wrong

RENEW = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local ttl, kept = tonumber(ARGV[3]), tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, now - kept)
local is_there = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], now + ttl, is_there and ARGV[1] or ARGV[2])
redis.call('PEXPIRE', KEYS[1], ttl + kept)
return is_there and 1 or 0
"""
"""KEYS[1] the leases; ARGV: the member, another one to make if it is gone, ms of a lease, ms it is kept asleep."""

READ = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local found = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 2, #found, 2 do found[i] = found[i] - now end
return found
"""
"""KEYS[1] the leases; answers members, each followed by the ms it has left (below 0: asleep)."""


class Leases:
    """What this process knows of all leases. It asks nothing itself: it makes commands, and takes their replies."""

    def __init__(self, keyspace: Keyspace, *, lease_seconds: float) -> None:
        self._key = keyspace.leases()
        self._ttl_ms = int(lease_seconds * 1000)
        self._ends: dict[str, float] = {}  # when each lease ends, by our own monotonic clock
        self._void: set[str] = set()  # members that are gone, and so for ever
        self._fresh_until = 0.0
        self._nodes: dict[bytes, tuple[str, ...]] = {}  # of values that were read since the leases were

    def renew(self, member: str, otherwise: str) -> Command:
        """Renew a lease; answers 1, or 0 if it was gone and `otherwise` was made in its place."""
        kept_ms = self._ttl_ms * KEPT_LEASES
        return ("EVAL", RENEW, 1, self._key, member, otherwise, self._ttl_ms, kept_ms)

    def read(self) -> Command:
        """Read all leases; for `take`."""
        return ("EVAL", READ, 1, self._key)

    def forget(self, member: str) -> Command:
        """Take a lease away: its node must begin anew."""
        return ("ZREM", self._key, member)

    @property
    def is_stale(self) -> bool:
        """Whether they should be read again, as others may have been renewed, or one has run out."""
        return time.monotonic() >= self._fresh_until

    def take(self, reply: Sequence[Any]) -> None:
        """Keep what was read."""
        now = time.monotonic()
        members = (member.decode() for member in reply[::2])
        self._ends = {member: now + left / 1000 for member, left in zip(members, map(int, reply[1::2]), strict=True)}
        self._fresh_until = min([now + FRESH_SECONDS, *(end for end in self._ends.values() if end > now)])
        self._nodes.clear()

    def nodes(self) -> Sequence[str]:
        """The nodes whose leases have not run out."""
        now = time.monotonic()
        return sorted({member.rpartition("|")[0] for member, end in self._ends.items() if end > now})

    def nodes_in(self, value: bytes) -> tuple[str, ...] | None:
        """The nodes with a lease among those of a value; None if it names one that may be newer than what we know."""
        nodes = self._nodes.get(value)
        if nodes is None:
            members = [member for member in value.decode().split() if member not in self._void]
            if any(member not in self._ends for member in members):
                return None
            now = time.monotonic()
            nodes = tuple(node_of(member) for member in members if self._ends[member] > now)
            if len(self._nodes) < REMEMBERED:
                self._nodes[value] = nodes
        return nodes

    @property
    def knows_void(self) -> bool:
        """Whether any member is known to be gone."""
        return bool(self._void)

    def void_in(self, value: bytes) -> list[str]:
        """The members of a value that are known to be gone."""
        return [member for member in value.decode().split() if member in self._void]

    def note_void(self, values: Iterable[bytes]) -> None:
        """Remember what these values name and a reading that began after them did not have: it is gone."""
        if len(self._void) > REMEMBERED:
            self._void.clear()  # they are found out again
        for value in values:
            self._void.update(member for member in value.decode().split() if member not in self._ends)


def new_member(node: str) -> str:
    """A lease that nobody has had."""
    return f"{prefix_of(node)}{secrets.token_hex(4)}"


def prefix_of(node: str) -> str:
    """What all leases of a node begin with."""
    return f"{node}|"


def node_of(member: str) -> str:
    """Whose lease it is."""
    return member.rpartition("|")[0]
