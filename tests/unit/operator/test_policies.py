"""Who may talk to whom."""

from typing import Any

import pytest

from unit.operator.built import EXTERNAL, URL, built, the

Child = dict[str, Any]
DNS = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}


def policy(component: str, **spec: Any) -> Child:
    found: Child = the(built(**spec), "NetworkPolicy", f"prod-{component}")["spec"]
    return found


def pods(component: str) -> Child:
    labels = {"name": "aldis", "instance": "prod", "component": component}
    return {"podSelector": {"matchLabels": {f"app.kubernetes.io/{key}": value for key, value in labels.items()}}}


def ports(*numbers: int) -> list[Child]:
    return [{"port": number, "protocol": "TCP"} for number in numbers]


OPERATOR = {
    "namespaceSelector": {},
    "podSelector": {"matchLabels": {"app.kubernetes.io/name": "aldis-operator"}},
}


def test_every_component_has_its_policy() -> None:
    """For both directions; none at all where none are wanted."""
    found = [child for child in built() if child["kind"] == "NetworkPolicy"]

    assert {child["metadata"]["name"].removeprefix("prod-") for child in found} == {
        "gateway", "worker", "migrate", "postgres", "rabbitmq", "redis",
    }  # fmt: skip
    assert all(child["spec"]["policyTypes"] == ["Ingress", "Egress"] for child in found)
    assert not [child for child in built(networkPolicy={"enabled": False}) if child["kind"] == "NetworkPolicy"]


def test_everybody_may_come_to_the_clients_port_and_few_to_the_other() -> None:
    """The internal port is for the operator and for those who watch."""
    watched = policy("gateway", networkPolicy={"monitoringNamespaces": ["monitoring"]})["ingress"]

    assert policy("gateway")["ingress"] == [{"ports": ports(8080)}, {"from": [OPERATOR], "ports": ports(9090)}]
    assert watched[1]["from"] == [
        OPERATOR,
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}},
    ]
    assert policy("worker")["ingress"] == [{"from": [OPERATOR], "ports": ports(9090)}]
    assert policy("migrate")["ingress"] == []


@pytest.mark.parametrize("component", ["gateway", "worker", "migrate"])
def test_the_runtime_reaches_its_servers_and_no_more(component: str) -> None:
    """Names, and what the operator runs for it."""
    assert policy(component)["egress"] == [
        DNS,
        {"to": [pods("postgres")], "ports": ports(5432)},
        {"to": [pods("rabbitmq")], "ports": ports(5672)},
        {"to": [pods("redis")], "ports": ports(6379)},
    ]


@pytest.mark.parametrize(
    "spec",
    [EXTERNAL, {"cache": {"external": URL}}, {"auth": {"jwt": {"jwksURL": "https://id.example.com/keys"}}}],
    ids=str,
)
def test_what_is_outside_can_be_anywhere(spec: Child) -> None:
    """So the way out is open as soon as something is there."""
    assert policy("gateway", **spec)["egress"] == [{}]


@pytest.mark.parametrize(("component", "port"), [("postgres", 5432), ("redis", 6379)])
def test_a_server_is_for_the_runtime_alone(component: str, port: int) -> None:
    """And reaches nobody."""
    callers = [pods("gateway"), pods("worker"), pods("migrate")]

    assert policy(component)["ingress"] == [{"from": callers, "ports": ports(port)}]
    assert policy(component)["egress"] == []


def test_nodes_of_rabbitmq_reach_each_other() -> None:
    """On the ports of the mapper and of the nodes."""
    among = {"ports": ports(4369, 25672)}

    assert policy("rabbitmq")["ingress"][1] == {"from": [pods("rabbitmq")], **among}
    assert policy("rabbitmq")["egress"] == [DNS, {"to": [pods("rabbitmq")], **among}]
