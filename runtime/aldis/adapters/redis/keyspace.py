"""The names of all keys, and which of them share a place in a Cluster.

What is in braces decides on the node of a Cluster. Keys that are looked at together by the hundred are spread over
`BUCKETS`, so that one command serves all of a bucket; on one server a command serves all buckets.
"""

import zlib
from collections.abc import Sequence

BUCKETS = 64  # a look-up of many users is at most so many commands in a Cluster, which can spread over as many nodes


class Keyspace:
    """Names keys. Several installations share a Redis by different prefixes."""

    def __init__(self, prefix: str, *, is_cluster: bool) -> None:
        self._prefix = prefix
        self._is_cluster = is_cluster
        self._buckets = [f"{{{prefix}:{number}}}" for number in range(BUCKETS)]

    def stream(self, node: str, lane: str) -> str:
        """What is rung for a node; its lanes lie together."""
        return f"{self._prefix}:backplane:{{{node}}}:{lane}"

    def leases(self) -> str:
        """The nodes that are there."""
        return f"{self._prefix}:presence:leases"

    def spread(self, kind: str, name: str) -> str:
        """A key of one of very many things of a kind."""
        return f"{self._buckets[zlib.crc32(name.encode()) % BUCKETS]}:{kind}:{name}"

    def together(self, keys: Sequence[str], most: int) -> list[list[str]]:
        """Split spread keys into groups that one command may name, of at most `most` keys."""
        if not self._is_cluster:
            return [list(keys[start : start + most]) for start in range(0, len(keys), most)]
        buckets: dict[str, list[str]] = {}
        for key in keys:
            buckets.setdefault(key[: key.index("}")], []).append(key)
        return [bucket[start : start + most] for bucket in buckets.values() for start in range(0, len(bucket), most)]
