"""The managed cache: one Redis that keeps nothing, so it has no volume."""

from typing import Any

from aldis_operator.model.installation import Installation, Managed
from aldis_operator.resources import names, servers
from aldis_operator.resources.derived import Root
from aldis_operator.resources.network import REDIS_PORT
from aldis_operator.resources.pods import build_container
from aldis_operator.resources.quantity import MIB, memory_of
from aldis_operator.resources.secrets import build_secret
from aldis_operator.resources.services import build_server_service

GRACE_SECONDS = 10
SHARE = 0.75  # of the container's memory; the rest is for buffers of connections


def build_redis(installation: Installation, cache: Managed, root: Root) -> list[dict[str, Any]]:
    """Secret, ConfigMap, Service and StatefulSet."""
    account = {"account.conf": f"requirepass {root.derive(names.REDIS)}\n"}
    files = {"redis.conf": _settings(cache)}
    name = names.account_of(installation.name, names.REDIS)
    secret = build_secret(installation, name, account, component=names.REDIS)
    return [
        secret,
        servers.build_config(installation, names.REDIS, files),
        build_server_service(installation, names.REDIS, {"redis": REDIS_PORT}, is_headless=False),
        servers.build_server(
            installation,
            names.REDIS,
            cache,
            told=[files, secret["data"]],
            grace_seconds=GRACE_SECONDS,
            containers=[_server(cache)],
        ),
    ]


def _settings(cache: Managed) -> str:
    return f"""\
include {servers.ACCOUNT}/account.conf
port {REDIS_PORT}
protected-mode no
dir /tmp
save ""
appendonly no
maxmemory {int(memory_of(cache.pods.compute) * SHARE) // MIB}mb
maxmemory-policy noeviction
"""


def _server(cache: Managed) -> dict[str, Any]:
    return build_container(
        names.REDIS,
        cache.image,
        cache.pods.compute,
        mounts=servers.MOUNTS,
        command=["redis-server", f"{servers.CONFIG}/redis.conf"],
        ports=[{"name": "redis", "containerPort": REDIS_PORT, "protocol": "TCP"}],
        startupProbe=servers.knock(REDIS_PORT, failureThreshold=12),
        readinessProbe=servers.knock(REDIS_PORT, failureThreshold=2),
        livenessProbe=servers.knock(REDIS_PORT, failureThreshold=6),
    )
