"""A Redis Cluster of three primaries, without replicas: what is on one that is killed is away until it is back."""

from contextlib import ExitStack
from typing import Self

from servers.guard import Guard
from servers.ports import HOST, free_port
from servers.redis import RedisServer
from servers.server import wait_until

NODES = 3
SLOTS = 16384


class RedisCluster:
    """Three nodes that share all slots."""

    def __init__(self, *, guard: Guard | None) -> None:
        self._stack = ExitStack()
        self._buses = [free_port() for _ in range(NODES)]
        self.nodes = [
            RedisServer(guard=guard, cluster_enabled="yes", cluster_node_timeout="2000", cluster_port=str(bus))
            for bus in self._buses
        ]
        for node in self.nodes:
            node.password = self.nodes[0].password

    @property
    def url(self) -> str:
        """Where the nodes are."""
        hosts = ",".join(f"{HOST}:{node.port}" for node in self.nodes)
        return f"redis+cluster://:{self.nodes[0].password}@{hosts}"

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for node in self.nodes:
                stack.enter_context(node)
            self._join()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _join(self) -> None:
        first = self.nodes[0]
        for number, (node, bus) in enumerate(zip(self.nodes, self._buses, strict=True)):
            start, end = SLOTS * number // NODES, SLOTS * (number + 1) // NODES - 1
            node.ask(f"CLUSTER ADDSLOTSRANGE {start} {end}", f"CLUSTER SET-CONFIG-EPOCH {number + 1}")
            first.ask(f"CLUSTER MEET {HOST} {node.port} {bus}")
        wait_until(self._is_whole, "the nodes to agree", lambda: False, self._said)

    def _is_whole(self) -> bool:
        return all("cluster_state:ok" in str(node.ask("CLUSTER INFO")[0]) for node in self.nodes)

    def _said(self) -> str:
        return "\n".join(node.said()[-500:] for node in self.nodes)
