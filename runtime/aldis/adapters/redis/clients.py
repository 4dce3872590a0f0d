"""Connecting: one client for each kind of address, with a bound on everything.

The driver would wait for 5 s and try ten times. Here callers bound what they wait for, and a call is made once more
only when a connection turns out to be closed, which after a restart of the server all of them are. RESP2, because
nothing here needs more, and so that old proxies and other servers that speak it will do.
"""

from typing import Any

from redis.asyncio import BlockingConnectionPool, Connection, Redis, RedisCluster, SSLConnection
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ClosedError

from aldis.adapters.redis.address import RedisAddress

Client = Redis | RedisCluster


def make_client(address: RedisAddress, *, seconds: float, connections: int) -> Client:
    """A client that has not connected yet. Callers give up after `seconds`; so does it with one of several nodes."""
    options = _options(address, seconds)
    if address.kind == "cluster":
        # The next node is asked when one hangs. Where there is one server the caller's own timeout does: the driver's
        # would cost a task for each call, and before Python 3.12 can swallow a cancellation.
        options["socket_timeout"] = seconds
        return _make_cluster(address, options, connections)
    options["db"] = address.database
    if address.kind == "sentinel":
        return _make_sentinel(address, options, connections)
    host, port = address.hosts[0]
    kind = SSLConnection if address.tls else Connection
    pool = BlockingConnectionPool(
        max_connections=connections, timeout=seconds, connection_class=kind, host=host, port=port, **options
    )
    return Redis.from_pool(pool)


async def close_client(client: Client) -> None:
    """Close its connections."""
    await client.aclose()
    sentinel = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    if sentinel is not None:
        await sentinel.aclose()


def _options(address: RedisAddress, seconds: float) -> dict[str, Any]:
    options: dict[str, Any] = {
        "username": address.username,
        "password": address.password,
        "socket_timeout": None,
        "socket_connect_timeout": seconds,
        "socket_keepalive": True,
        "client_name": "aldis",
        "driver_info": None,  # it would be one more thing to ask for, and to have the right to
        "protocol": 2,
        "retry": Retry(NoBackoff(), 1, supported_errors=(ClosedError,)),
    }
    if address.tls:
        options["ssl_ca_certs"] = address.ca_file
    return options


def _make_cluster(address: RedisAddress, options: dict[str, Any], connections: int) -> RedisCluster:
    return RedisCluster(
        startup_nodes=[ClusterNode(host, port) for host, port in address.hosts],
        max_connections=connections,
        ssl=address.tls,
        **options,
    )


def _make_sentinel(address: RedisAddress, options: dict[str, Any], connections: int) -> Redis:
    asked: dict[str, Any] = {
        "socket_timeout": options["socket_connect_timeout"] / 2,  # so that there is time to ask the next one
        "socket_connect_timeout": options["socket_connect_timeout"] / 2,
        "password": address.sentinel_password,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    if address.tls:
        asked |= {"ssl": True, "ssl_ca_certs": address.ca_file}
    sentinel = Sentinel(address.hosts, sentinel_kwargs=asked)  # type: ignore[no-untyped-call]  # the driver's gap
    client: Redis = sentinel.master_for(address.service, max_connections=connections, ssl=address.tls, **options)
    return client
