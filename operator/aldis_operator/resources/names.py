"""What the child objects are called. Nothing else makes a name, and none changes: a volume is found again by it."""

ROOT, CONNECTIONS, CONFIG, MIGRATE = "root", "connections", "config", "migrate"
GATEWAY, WORKER, ADMIN = "gateway", "worker", "admin"
POSTGRES, RABBITMQ, REDIS = "postgres", "rabbitmq", "redis"


def name_of(installation: str, part: str, *more: str) -> str:
    """`prod-gateway`, `prod-worker-default`; fits into a label for every name that is admitted."""
    return "-".join([installation, part, *more])


def account_of(installation: str, part: str) -> str:
    """The Secret with a managed server's passwords."""
    return name_of(installation, part, "account")


def host_of(installation: str, namespace: str, part: str, *, node: int | None = None) -> str:
    """Where a service is found, or one pod behind it; in every cluster, whatever its domain is."""
    service = name_of(installation, part)
    pod = f"{service}-{node}." if node is not None else ""
    return f"{pod}{service}.{namespace}.svc"
