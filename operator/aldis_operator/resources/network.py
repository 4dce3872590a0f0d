"""Who may talk to whom: what is not named here is refused, as far as the cluster's network enforces policies."""

from collections.abc import Sequence
from typing import Any

from aldis_operator.model.installation import External, Installation
from aldis_operator.resources import names, runtime
from aldis_operator.resources.labels import OPERATOR, PREFIX, selector
from aldis_operator.resources.objects import build_object

NAMESPACE = "kubernetes.io/metadata.name"
POSTGRES_PORT, REDIS_PORT, AMQP_PORT = 5432, 6379, 5672
NODE_PORTS = (4369, 25672)  # RabbitMQ's port mapper, and its nodes among themselves
Rule = dict[str, Any]
RUNTIME = (names.GATEWAY, names.WORKER, names.MIGRATE)
_DNS: Rule = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}


def build_policies(installation: Installation) -> list[dict[str, Any]]:
    """A policy for each component; none where the resource wants none."""
    if not installation.network.has_policies:
        return []
    ways = _ways_out(installation)
    internal = [_internal(installation)]
    clients = {"ports": [_port(runtime.CLIENT_PORT)]}
    found = [
        _policy(installation, names.GATEWAY, ingress=[clients, *internal], egress=ways),
        _policy(installation, names.WORKER, ingress=internal, egress=ways),
        _policy(installation, names.MIGRATE, ingress=[], egress=ways),
    ]
    return [*found, *_of_servers(installation)]


def _of_servers(installation: Installation) -> list[dict[str, Any]]:
    """They are reached by the runtime alone, and reach nobody but each other."""
    found = []
    if not isinstance(installation.database, External):
        found += [_server(installation, names.POSTGRES, POSTGRES_PORT)]
    if not isinstance(installation.cache, External):
        found += [_server(installation, names.REDIS, REDIS_PORT)]
    if not isinstance(installation.broker, External):
        peers = [_pods(installation, names.RABBITMQ)]
        among = [_port(port) for port in NODE_PORTS]
        found += [
            _server(
                installation,
                names.RABBITMQ,
                AMQP_PORT,
                ingress=[{"from": peers, "ports": among}],
                egress=[_DNS, {"to": peers, "ports": among}],
            )
        ]
    return found


def _server(
    installation: Installation, component: str, port: int, *, ingress: Sequence[Rule] = (), egress: Sequence[Rule] = ()
) -> dict[str, Any]:
    callers = [_pods(installation, each) for each in RUNTIME]
    return _policy(
        installation, component, ingress=[{"from": callers, "ports": [_port(port)]}, *ingress], egress=list(egress)
    )


def _internal(installation: Installation) -> Rule:
    """Metrics and administration: for the operator, and for those who watch."""
    anywhere: dict[str, Any] = {}
    operator = {"namespaceSelector": anywhere, "podSelector": {"matchLabels": {f"{PREFIX}/name": OPERATOR}}}
    watchers = [
        {"namespaceSelector": {"matchLabels": {NAMESPACE: name}}} for name in installation.network.monitoring_namespaces
    ]
    return {"from": [operator, *watchers], "ports": [_port(runtime.ADMIN_PORT)]}


def _ways_out(installation: Installation) -> list[Rule]:
    """To names and to the managed servers; anywhere as soon as something is outside, as we do not know where."""
    servers = {
        names.POSTGRES: (installation.database, POSTGRES_PORT),
        names.RABBITMQ: (installation.broker, AMQP_PORT),
        names.REDIS: (installation.cache, REDIS_PORT),
    }
    if any(isinstance(part, External) for part, _ in servers.values()) or "JWT__JWKS_URL" in installation.settings:
        return [{}]
    return [_DNS, *({"to": [_pods(installation, name)], "ports": [_port(port)]} for name, (_, port) in servers.items())]


def _pods(installation: Installation, component: str) -> Rule:
    return {"podSelector": {"matchLabels": selector(installation, component)}}


def _port(number: int) -> dict[str, Any]:
    return {"port": number, "protocol": "TCP"}


def _policy(installation: Installation, component: str, *, ingress: list[Rule], egress: list[Rule]) -> dict[str, Any]:
    return build_object(
        installation,
        "NetworkPolicy",
        names.name_of(installation.name, component),
        api="networking.k8s.io/v1",
        component=component,
        spec={
            "podSelector": {"matchLabels": selector(installation, component)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": ingress,
            "egress": egress,
        },
    )
