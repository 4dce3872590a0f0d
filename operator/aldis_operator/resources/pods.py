"""Pods: what all of them have, whatever runs in them."""

from collections.abc import Sequence
from typing import Any

from aldis_operator.model.installation import Compute, Installation, Pods
from aldis_operator.resources import security
from aldis_operator.resources.labels import labels, selector

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
TMP = {"name": "tmp", "emptyDir": {}}
TMP_MOUNT = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108 - a volume of the pod's own


def build_template(
    installation: Installation,
    component: str,
    pods: Pods,
    *,
    containers: Sequence[dict[str, Any]],
    volumes: Sequence[dict[str, Any]],
    grace_seconds: int,
    group: str | None = None,
    annotations: dict[str, str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A pod template that passes `restricted`, spreads, and has no key to the API server."""
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,  # their variables grow with the namespace, and one of them could be called ALDIS_…
        "securityContext": security.POD,
        "terminationGracePeriodSeconds": grace_seconds,
        "topologySpreadConstraints": _spread(selector(installation, component, group=group)),
        "containers": list(containers),
        "volumes": [TMP, *volumes],
        **_placement(installation, pods),
        **more,
    }
    metadata = {"labels": labels(installation, component, group=group), "annotations": annotations or {}}
    return {"metadata": metadata, "spec": spec}


def build_container(
    name: str, image: str, compute: Compute, *, mounts: Sequence[dict[str, Any]], **more: Any
) -> dict[str, Any]:
    """A container that may write into its mounts and `/tmp` alone."""
    resources = {"requests": dict(compute.requests), "limits": dict(compute.limits)}
    return {
        "name": name,
        "image": image,
        "securityContext": security.CONTAINER,
        "resources": {key: value for key, value in resources.items() if value},
        "terminationMessagePolicy": "FallbackToLogsOnError",  # why it ended can be told without its logs
        "volumeMounts": [TMP_MOUNT, *mounts],
        **more,
    }


def _spread(of: dict[str, str]) -> list[dict[str, Any]]:
    """Over zones and nodes as far as it goes; never so strictly that a pod waits."""
    return [
        {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": of}}
        for key in (ZONE, HOST)
    ]


def _placement(installation: Installation, pods: Pods) -> dict[str, Any]:
    placed: dict[str, Any] = {
        "imagePullSecrets": [{"name": name} for name in installation.image.pull_secrets],
        "nodeSelector": dict(pods.node_selector),
        "tolerations": [dict(each) for each in pods.tolerations],
        "priorityClassName": pods.priority_class,
    }
    return {key: value for key, value in placed.items() if value}
