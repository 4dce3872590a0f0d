"""The two custom resource definitions."""

from typing import Any

from pydantic import BaseModel

from aldis_operator.crds.structural import structural
from aldis_operator.model.channel import Channel
from aldis_operator.model.cluster import MessagingCluster

GROUP, VERSION = "aldis.dev", "v1alpha1"
_KIND = {
    "apiVersion": {"type": "string", "description": f"`{GROUP}/{VERSION}`."},
    "kind": {"type": "string", "description": "The kind of the resource."},
    "metadata": {"type": "object"},
}


def definitions() -> dict[str, dict[str, Any]]:
    """Each definition by the plural of its kind."""
    return {"messagingclusters": _messaging_clusters(), "channels": _channels()}


def _messaging_clusters() -> dict[str, Any]:
    columns = [
        _condition("Ready"),
        _condition("Available"),
        _column("Phase", ".status.phase"),
        _column("Version", ".status.version.current"),
        _column("Gateways", ".status.gateway.ready", "integer"),
        _column("Endpoint", ".status.endpoints.http", priority=1),
        _column("Age", ".metadata.creationTimestamp", "date"),
    ]
    scale = {
        "specReplicasPath": ".spec.gateway.replicas",
        "statusReplicasPath": ".status.gateway.replicas",
        "labelSelectorPath": ".status.gateway.selector",
    }
    return _definition(
        MessagingCluster, "messagingclusters", short="mc", columns=columns, subresources={"status": {}, "scale": scale}
    )


def _channels() -> dict[str, Any]:
    columns = [
        _condition("Ready"),
        _column("Cluster", ".spec.clusterRef.name"),
        _column("Type", ".spec.type"),
        _column("Age", ".metadata.creationTimestamp", "date"),
    ]
    return _definition(Channel, "channels", short="chan", columns=columns, subresources={"status": {}})


def _definition(
    model: type[BaseModel], plural: str, *, short: str, columns: list[dict[str, Any]], subresources: dict[str, Any]
) -> dict[str, Any]:
    kind = model.__name__
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _resource(model)},
        "subresources": subresources,
        "additionalPrinterColumns": columns,
    }
    names = {
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": plural,
        "singular": kind.lower(),
        "shortNames": [short],
        "categories": ["aldis"],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {"group": GROUP, "names": names, "scope": "Namespaced", "versions": [version]},
    }


def _resource(model: type[BaseModel]) -> dict[str, Any]:
    """A whole resource; what stands in `metadata` is Kubernetes' own to describe."""
    schema = structural(model)
    parts = {name: part for name, part in schema["properties"].items() if name != "metadata"}
    return {**schema, "required": ["spec"], "properties": {**_KIND, **parts}}


def _condition(name: str) -> dict[str, Any]:
    return _column(name, f'.status.conditions[?(@.type=="{name}")].status')


def _column(name: str, path: str, type_: str = "string", *, priority: int = 0) -> dict[str, Any]:
    shown = {"priority": priority} if priority else {}  # 1: only with -o wide
    return {"name": name, "type": type_, "jsonPath": path, **shown}
