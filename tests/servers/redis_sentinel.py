"""Redis that fails over: a primary, a replica and the Sentinels that decide between them."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Self

from servers.guard import Guard
from servers.place import find_program, write_private
from servers.ports import HOST
from servers.redis import RedisServer
from servers.server import wait_until

SERVICE = "aldis"
QUORUM = 2
SILENT_MS = 1_000  # after which a primary counts as gone; in production it is rather 5,000

SENTINEL = """\
bind {host}
port {port}
dir {folder}
requirepass {password}
sentinel monitor {service} {host} {primary} {quorum}
sentinel auth-pass {service} {primary_password}
sentinel sentinel-pass {password}
sentinel down-after-milliseconds {service} {silent}
sentinel failover-timeout {service} 5000
"""


class Sentinel(RedisServer):
    """One Sentinel. It writes what it learns into its own configuration."""

    name = "redis-sentinel"

    def __init__(self, primary: RedisServer, password: str, *, guard: Guard | None) -> None:
        super().__init__(guard=guard)
        self.password = password
        self._primary = primary

    def arguments(self) -> Sequence[str]:
        """The same program in another mode."""
        config = self.folder / "sentinel.conf"
        if not config.exists():
            text = SENTINEL.format(
                host=HOST, port=self.port, folder=self.folder, password=self.password, service=SERVICE,
                primary=self._primary.port, quorum=QUORUM, primary_password=self._primary.password, silent=SILENT_MS,
            )  # fmt: skip
            write_private(config, text, self._account)
        return [str(find_program("redis-server")), str(config), "--sentinel"]


class SentinelSet:
    """Two servers and three Sentinels. `primary` is the server that began as such."""

    def __init__(self, *, guard: Guard | None) -> None:
        self._guard = guard
        self._stack = ExitStack()
        self.primary = RedisServer(guard=guard)
        self.replica = RedisServer(guard=guard, replicaof=f"{HOST} {self.primary.port}")
        self.replica.password = self.primary.password
        self.sentinels = [Sentinel(self.primary, self.primary.password, guard=guard) for _ in range(3)]

    @property
    def url(self) -> str:
        """Where the Sentinels are."""
        hosts = ",".join(f"{HOST}:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://:{self.primary.password}@{hosts}/{SERVICE}?sentinel_password={self.primary.password}"

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for server in (self.primary, self.replica, *self.sentinels):
                stack.enter_context(server)
            wait_until(self._is_complete, "the Sentinels to know each other", lambda: False, self._said)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _is_complete(self) -> bool:
        """Whether each Sentinel knows the replica and both others."""
        facts = [sentinel.ask(f"SENTINEL MASTER {SERVICE}")[0] for sentinel in self.sentinels]
        pairs = [dict(zip(fact[::2], fact[1::2], strict=True)) for fact in facts if isinstance(fact, list)]
        return all(pair["num-slaves"] == "1" and pair["num-other-sentinels"] == "2" for pair in pairs)

    def _said(self) -> str:
        return "\n".join(sentinel.said()[-500:] for sentinel in self.sentinels)
