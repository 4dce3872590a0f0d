from typing import Any

import pytest

from aldis_operator.model.installation import Compute, External, Managed, SecretKey, Volume
from aldis_operator.resources.quantity import to_bytes
from unit.operator.built import EXTERNAL, built, installed, templates


def test_what_is_left_out_is_the_profiles() -> None:
    """Production keeps every part going when one of it is away, as far as a part can."""
    found = installed()

    assert found.gateways.pods.replicas == 2
    assert (found.gateways.pre_stop_seconds, found.gateways.drain_seconds) == (10, 60)
    assert [(each.name, each.pods.replicas) for each in found.workers] == [("default", 2)]
    assert isinstance(found.database, Managed)
    assert found.database.volume == Volume(size="20Gi", class_name=None)
    assert isinstance(found.broker, Managed)
    assert found.broker.pods.replicas == 3
    assert isinstance(found.cache, Managed)
    assert found.cache.volume is None
    assert found.keeps_data
    assert found.network.has_policies


def test_what_is_said_stands_above_the_profile() -> None:
    """Each field by itself; zero is said, too."""
    found = installed(
        profile="dev",
        gateway={"replicas": 5, "drain": {"preStopSeconds": 0, "periodSeconds": 7}},
        workers=[{"name": "one", "replicas": 3, "resources": {"requests": {"cpu": 1}}}],
        broker={"managed": {"replicas": 3, "image": "mine/rabbitmq:4", "storage": {"size": "9Gi"}}},
        deletionPolicy="Delete",
        networkPolicy={"enabled": False},
    )

    assert found.gateways.pods.replicas == 5
    assert (found.gateways.pre_stop_seconds, found.gateways.drain_seconds) == (0, 7)
    assert found.workers[0].pods.compute == Compute(requests={"cpu": "1"}, limits={})
    assert isinstance(found.broker, Managed)
    assert (found.broker.pods.replicas, found.broker.image) == (3, "mine/rabbitmq:4")
    assert found.broker.volume == Volume(size="9Gi", class_name=None)
    assert not found.keeps_data
    assert not found.network.has_policies


def test_external_servers_are_found_by_their_secrets() -> None:
    """The key is `url` unless it is said, that of an authority `ca.crt`."""
    ref = {"name": "pg", "key": "dsn"}
    spec: dict[str, Any] = {**EXTERNAL, "database": {"external": {"secretRef": ref, "caSecretRef": {"name": "ca"}}}}
    found = installed(**spec)

    assert found.database == External(url=SecretKey(name="pg", key="dsn"), authority=SecretKey(name="ca", key="ca.crt"))
    assert found.cache == External(url=SecretKey(name="mine", key="url"), authority=None)


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ({}, "registry.example.com/aldis:0.1.0"),
        ({"repository": "mine/aldis"}, "mine/aldis:0.1.0"),
        ({"digest": f"sha256:{'0' * 64}"}, f"registry.example.com/aldis@sha256:{'0' * 64}"),
    ],
)
def test_the_image_is_of_the_version_unless_it_is_named_exactly(image: dict[str, str], reference: str) -> None:
    """A digest is one image for ever."""
    assert installed(image=image).image.reference == reference


def test_dev_fits_on_a_laptop() -> None:
    """All pods together, the Job as well, ask for at most one processor and 2 GiB."""
    asked = {"cpu": 0, "memory": 0}
    for _, template in templates(built(profile="dev")):
        for container in template["spec"]["containers"]:
            for resource, amount in container["resources"]["requests"].items():
                asked[resource] += to_bytes(amount) if resource == "memory" else int(amount.removesuffix("m"))

    assert asked["cpu"] <= 1000
    assert asked["memory"] <= 2 * 1024**3
