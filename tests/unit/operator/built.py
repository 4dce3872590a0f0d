"""Installations for the tests of builders, and ways into what was built."""

from collections.abc import Iterator
from typing import Any

from aldis_operator.model.cluster import MessagingCluster
from aldis_operator.model.describe import describe
from aldis_operator.model.installation import Installation
from aldis_operator.resources.children import children
from aldis_operator.resources.derived import Root

ROOT = Root(b"0123456789abcdef0123456789abcdef")
REPOSITORY = "registry.example.com/aldis"
URL = {"secretRef": {"name": "mine"}}
EXTERNAL = {"database": {"external": URL}, "broker": {"external": URL}, "cache": {"external": URL}}
SPECS: dict[str, dict[str, Any]] = {
    "dev": {"profile": "dev", "deletionPolicy": "Delete"},
    "production": {},
    "external": {
        **EXTERNAL,
        "database": {"external": {**URL, "caSecretRef": {"name": "authority"}}},
        "auth": {"jwt": {"secretRef": {"name": "tokens", "key": "secret"}}},
    },
    "groups": {"workers": [{"name": "one"}, {"name": "fifteen-letters", "replicas": 3}]},
}


def installed(name: str = "prod", **spec: Any) -> Installation:
    """What a resource describes."""
    document = {
        "metadata": {"name": name, "namespace": "chat", "uid": "u-1"},
        "spec": {"version": "0.1.0", **spec},
    }
    return describe(MessagingCluster.model_validate(document), repository=REPOSITORY)


def built(name: str = "prod", *, secrets: str = "", **spec: Any) -> list[dict[str, Any]]:
    """Its child objects."""
    return children(installed(name, **spec), ROOT, secrets=secrets)


def the(found: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    """The one child of that kind and name."""
    [child] = [each for each in found if each["kind"] == kind and each["metadata"]["name"] == name]
    return child


def templates(found: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The pod templates, by the names of their objects."""
    for child in found:
        if "template" in child.get("spec", {}):
            yield child["metadata"]["name"], child["spec"]["template"]


def containers(template: dict[str, Any]) -> list[dict[str, Any]]:
    """All of them, with those that prepare."""
    spec = template["spec"]
    return [*spec.get("initContainers", ()), *spec["containers"]]
