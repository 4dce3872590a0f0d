"""What is taken and what is refused, by the definitions and their rules, in the words that a person is shown."""

from typing import Any

import pytest

from aldis_operator.model.cluster import MessagingCluster
from unit.operator.admission import refusals

URL = {"secretRef": {"name": "mine"}}


def cluster(name: str = "prod", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "aldis.dev/v1alpha1",
        "kind": "MessagingCluster",
        "metadata": {"name": name},
        "spec": {"version": "0.1.0", **spec},
    }


def channel(name: str = "orders", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "aldis.dev/v1alpha1",
        "kind": "Channel",
        "metadata": {"name": name},
        "spec": {"type": "Notification", **spec},
    }


def storage(**fields: str) -> dict[str, Any]:
    return cluster(database={"managed": {"storage": fields}})


def nodes(count: int) -> dict[str, Any]:
    return cluster(broker={"managed": {"replicas": count}})


def resources(requests: Any, limits: Any) -> dict[str, Any]:
    return cluster(gateway={"resources": {"requests": requests, "limits": limits}})


@pytest.mark.parametrize(
    "document",
    [
        cluster(),
        cluster(name="a"),
        cluster(name="p" * 40),
        cluster(profile="dev", deletionPolicy="Delete", logLevel="debug"),
        cluster(image={"repository": "registry.example.com:5000/aldis", "digest": f"sha256:{'0' * 64}"}),
        cluster(gateway={"replicas": 3, "drain": {"preStopSeconds": 0}, "trustedProxies": ["10.0.0.0/8", "fd00::/8"]}),
        cluster(workers=[{"name": "one"}, {"name": "two", "replicas": 3}]),
        cluster(database={"external": URL}, broker={"external": URL}, cache={"external": URL}),
        cluster(auth={"jwt": {"jwksURL": "https://id.example.com/keys", "issuer": "me", "audience": "aldis"}}),
        cluster(auth={"jwt": {"jwksURL": "http://id.auth.svc:8080/keys"}}),
        cluster(streamRetention="24h", limits={"messagesPerSecond": 0.5}),
        resources({"cpu": 1, "memory": "1Gi"}, {"memory": "1Gi"}),
        resources({"cpu": "0.5"}, {"cpu": "500m"}),
        cluster(gateway={"nodeSelector": {"disk": "ssd"}, "tolerations": [{"key": "gpu", "operator": "Exists"}]}),
        channel(),
        channel(name="chat", type="Chat"),
        channel(type="Broadcast", audience="Everyone", history="Hidden"),
        channel(type="Chat", chat={"who": "Agents", "agents": ["support:*", "ann"]}),
        channel(type="Chat", chat={"agents": []}),
        channel(delivery={"timeToLive": "87600h", "backoff": {"initial": "1s", "factor": 1.5, "max": "24h"}}),
        channel(delivery={"timeToLive": "1h30m", "backoff": {"max": "5s"}}),
        channel(clusterRef={"name": "prod"}, credentials={"secretName": "orders-key"}, deletionPolicy="Delete"),
    ],
    ids=lambda document: str(document["spec"]),
)
def test_it_is_taken(document: dict[str, Any]) -> None:
    """What is right is taken as it is, and again when nothing has changed."""
    assert refusals(document) == []
    assert refusals(document, document) == []


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (cluster(name="p" * 41), "metadata.name must be at most 40"),
        (cluster(name="9lives"), "beginning with a letter"),
        (cluster(name="a.b"), "metadata.name must be"),
        (cluster(version="latest"), "spec.version"),
        (cluster(profile="huge"), "spec.profile"),
        (cluster(colour="red"), "'colour'"),
        (cluster(gateway={"replicas": 0}), "spec.gateway.replicas"),
        (cluster(gateway={"replicas": 101}), "spec.gateway.replicas"),
        (cluster(gateway={"drain": {"periodSeconds": -1}}), "periodSeconds"),
        (cluster(gateway={"trustedProxies": ["everyone"]}), "spec.gateway.trustedProxies.0"),
        (cluster(gateway={"resources": {"requests": {"memory": "a lot"}}}), "requests.memory"),
        (cluster(gateway={"nodeSelector": {"k" * 318: "v"}}), "a label's name has at most 317 characters"),
        (cluster(workers=[]), "spec.workers"),
        (cluster(workers=[{"name": "with.dots"}]), "spec.workers.0.name"),
        (cluster(image={"digest": "sha256:1"}), "spec.image.digest"),
        (nodes(2), "spec.broker.managed.replicas"),
        (storage(size="10"), "storage.size"),
        (cluster(database={"managed": {}, "external": URL}), "database is either managed or external"),
        (cluster(broker={"managed": {}, "external": URL}), "broker is either managed or external"),
        (cluster(cache={"managed": {}, "external": URL}), "cache is either managed or external"),
        (cluster(database={"external": {}}), "'secretRef' is a required property"),
        (cluster(auth={"jwt": {"jwksURL": "http://id.example.com/keys"}}), "auth.jwt.jwksURL must be https://"),
        (cluster(auth={"jwt": {"jwksURL": "https://me@id.example.com/keys"}}), "auth.jwt.jwksURL must be https://"),
        (cluster(auth={"jwt": {"jwksURL": "id.example.com"}}), "auth.jwt.jwksURL must be https://"),
        (cluster(streamRetention="36h"), "spec.streamRetention must be whole days in hours: 720h"),
        (cluster(streamRetention="30d"), "spec.streamRetention"),
        (resources({"cpu": 2}, {"cpu": "1500m"}), "resources.requests.cpu is more than resources.limits.cpu"),
        (resources({"memory": "1Gi"}, {"memory": "1G"}), "resources.requests.memory is more than"),
        (channel(name="c" * 64), "metadata.name must have at most 63 characters"),
        (channel(name="chat"), "its spec.type must be Chat"),
        (channel(type="Mail"), "spec.type"),
        (channel(audience="Everyone"), "spec.audience is for channels of type Broadcast only: take it away"),
        (channel(history="Hidden"), "spec.history is for channels of type Broadcast only: take it away"),
        (channel(chat={}), "spec.chat is for channels of type Chat only: take it away"),
        (channel(type="Chat", chat={"agents": ["ann"]}), "chat.agents needs chat.who: Agents"),
        (channel(type="Chat", chat={"who": "Nobody", "agents": ["ann"]}), "chat.agents needs chat.who: Agents"),
        (channel(delivery={"timeToLive": "999ms"}), "delivery.timeToLive must be between 1s and ten years"),
        (channel(delivery={"timeToLive": "87601h"}), "delivery.timeToLive must be between 1s and ten years"),
        (channel(delivery={"backoff": {"initial": "25h"}}), "delivery.backoff.initial must be between 1s and 24h"),
        (channel(delivery={"backoff": {"max": "500ms"}}), "delivery.backoff.max must be between 1s and 24h"),
        (channel(delivery={"backoff": {"max": "4s"}}), "must not be below delivery.backoff.initial"),
        (channel(delivery={"backoff": {"initial": "2m", "max": "1m"}}), "must not be below delivery.backoff.initial"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_it_is_refused(document: dict[str, Any], words: str) -> None:
    """With the field, and what to do."""
    assert words in "\n".join(refusals(document))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (storage(size="20Gi"), storage(size="10Gi"), "storage.size cannot shrink"),
        (storage(size="20Gi"), storage(size="20G"), "storage.size cannot shrink"),
        (storage(size="20Gi"), storage(), "storage.size cannot shrink"),
        (storage(storageClassName="a"), storage(storageClassName="b"), "storageClassName cannot change"),
        (storage(), storage(storageClassName="b"), "storageClassName cannot change"),
        (nodes(3), nodes(1), "broker.managed.replicas cannot go from 3 to 1"),
        (cluster(), cluster(database={"external": URL}), "spec.database cannot change between managed and external"),
        (cluster(database={"external": URL}), cluster(database={}), "spec.database cannot change"),
        (channel(type="Chat"), channel(), "spec.type cannot change"),
        (channel(type="Broadcast"), channel(type="Broadcast", audience="Everyone"), "spec.audience cannot change"),
        (channel(clusterRef={"name": "a"}), channel(clusterRef={"name": "b"}), "spec.clusterRef cannot change"),
        (channel(clusterRef={"name": "a"}), channel(), "spec.clusterRef cannot change"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_change_is_refused(old: dict[str, Any], new: dict[str, Any], words: str) -> None:
    """Each of the two is right by itself; what would lose something is not done by accident."""
    assert refusals(old) == refusals(new) == []
    assert words in "\n".join(refusals(new, old))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (storage(size="10Gi"), storage(size="20Gi")),
        (storage(), storage(size="20Gi")),
        (nodes(1), nodes(3)),
        (cluster(), cluster(database={"managed": {}})),
        (cluster(broker={"external": URL}), cluster()),
        (cluster(workers=[{"name": "a"}]), cluster(workers=[{"name": "b"}])),
        (channel(), channel(clusterRef={"name": "a"})),
        (channel(type="Broadcast"), channel(type="Broadcast", audience="Subscribers")),
    ],
)
def test_the_change_is_taken(old: dict[str, Any], new: dict[str, Any]) -> None:
    """What grows, and what says in words what was so already."""
    assert refusals(new, old) == []


def test_what_is_taken_can_be_read() -> None:
    """Numbers may be written as such where Kubernetes writes quantities, and unknown fields are no matter."""
    document = resources({"cpu": 1, "memory": "1Gi"}, {"memory": "2Gi"})
    document["metadata"] |= {"namespace": "chat", "uid": "u"}
    document["spec"]["fromTomorrow"] = True

    gateway = MessagingCluster.model_validate(document).spec.gateway

    assert gateway is not None
    assert gateway.resources is not None
    assert gateway.resources.model_dump(exclude_none=True) == {
        "requests": {"cpu": "1", "memory": "1Gi"},
        "limits": {"memory": "2Gi"},
    }
