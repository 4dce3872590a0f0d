"""What a profile says where the resource says nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from aldis_operator.model.installation import Compute

# The versions that are tested. Official images; any image with the same programs in PATH will do.
POSTGRES = "docker.io/library/postgres:17"
RABBITMQ = "docker.io/library/rabbitmq:4.1"
REDIS = "docker.io/library/redis:8.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """How much a part is given; `size` is of its volume."""

    replicas: int
    compute: Compute
    size: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """All parts, and how gateways leave."""

    gateway: Part
    worker: Part
    database: Part
    broker: Part
    cache: Part
    pre_stop_seconds: int
    drain_seconds: int
    database_connections: int  # fixed, as PostgreSQL restarts to have more; a process has at most 14


def _compute(cpu: str, memory: str, limit: str) -> Compute:
    return Compute(requests={"cpu": cpu, "memory": memory}, limits={"memory": limit})


PROFILES: Mapping[str, Profile] = {
    # In all at most one processor and 2 GiB are asked for.
    "dev": Profile(
        gateway=Part(replicas=1, compute=_compute("200m", "256Mi", "512Mi")),
        worker=Part(replicas=1, compute=_compute("100m", "192Mi", "384Mi")),
        database=Part(replicas=1, compute=_compute("200m", "256Mi", "512Mi"), size="2Gi"),
        broker=Part(replicas=1, compute=_compute("200m", "384Mi", "768Mi"), size="1Gi"),
        cache=Part(replicas=1, compute=_compute("50m", "64Mi", "128Mi")),
        pre_stop_seconds=0,
        drain_seconds=2,
        database_connections=100,
    ),
    "production": Profile(
        gateway=Part(replicas=2, compute=_compute("1", "1Gi", "2Gi")),
        worker=Part(replicas=2, compute=_compute("500m", "512Mi", "1Gi")),
        database=Part(replicas=1, compute=_compute("1", "2Gi", "2Gi"), size="20Gi"),
        broker=Part(replicas=3, compute=_compute("500m", "1Gi", "1Gi"), size="5Gi"),
        cache=Part(replicas=1, compute=_compute("250m", "512Mi", "512Mi")),
        pre_stop_seconds=10,
        drain_seconds=60,
        database_connections=400,
    ),
}
