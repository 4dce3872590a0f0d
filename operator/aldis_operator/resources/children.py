"""All child objects of an installation, in the order in which they are made."""

from typing import Any

from aldis_operator.model.installation import Installation, Managed
from aldis_operator.resources import names
from aldis_operator.resources.derived import Root
from aldis_operator.resources.disruption import build_budget
from aldis_operator.resources.gateway import build_gateways
from aldis_operator.resources.migration import build_migration
from aldis_operator.resources.network import build_policies
from aldis_operator.resources.objects import hash_of
from aldis_operator.resources.postgres import build_postgres
from aldis_operator.resources.rabbitmq import build_rabbitmq
from aldis_operator.resources.redis import build_redis
from aldis_operator.resources.runtime import build_config
from aldis_operator.resources.secrets import build_connections, build_root
from aldis_operator.resources.services import build_admin_service, build_client_service
from aldis_operator.resources.worker import build_workers

Child = dict[str, Any]


def children(installation: Installation, root: Root, *, secrets: str = "") -> list[Child]:
    """Everything that there should be; `secrets` is a hash of what the user's own Secrets hold.

    The root comes first, as all passwords follow from it. Policies stand before the pods that they are for. Servers
    come before the Job that needs them, and that before the processes that need its tables.
    """
    connections = build_connections(installation, root)
    secrets = hash_of([connections, secrets])
    found = [
        build_root(installation, root),
        connections,
        build_config(installation),
        *build_policies(installation),
        *_servers(installation, root),
        build_migration(installation, secrets=secrets),
        build_client_service(installation),
        build_admin_service(installation),
        *_processes(installation, secrets),
        *_budgets(installation),
    ]
    return [child for child in found if child is not None]


def _servers(installation: Installation, root: Root) -> list[Child]:
    found: list[Child] = []
    if isinstance(installation.database, Managed):
        found += build_postgres(installation, installation.database, root)
    if isinstance(installation.broker, Managed):
        found += build_rabbitmq(installation, installation.broker, root)
    if isinstance(installation.cache, Managed):
        found += build_redis(installation, installation.cache, root)
    return found


def _processes(installation: Installation, secrets: str) -> list[Child]:
    workers = [build_workers(installation, each, secrets=secrets) for each in installation.workers]
    return [build_gateways(installation, secrets=secrets), *workers]


def _budgets(installation: Installation) -> list[Child | None]:
    broker = installation.broker.pods.replicas if isinstance(installation.broker, Managed) else 0
    return [
        build_budget(installation, names.GATEWAY, installation.gateways.pods.replicas),
        *(
            build_budget(installation, names.WORKER, each.pods.replicas, group=each.name)
            for each in installation.workers
        ),
        build_budget(installation, names.RABBITMQ, broker),
    ]


def replicas(installation: Installation) -> dict[str, int]:
    """How many pods each Deployment is made with, by its name; afterwards `/scale` is the only way to change it."""
    workers = {
        names.name_of(installation.name, names.WORKER, each.name): each.pods.replicas for each in installation.workers
    }
    return {names.name_of(installation.name, names.GATEWAY): installation.gateways.pods.replicas, **workers}
