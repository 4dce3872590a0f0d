"""What the managed servers have in common: a StatefulSet, its volume, and scripts that need only programs in PATH.

An image's entrypoint and its variables are never relied on: command, configuration, account and folders are ours. So
the official images serve, and so does any other that has the programs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from aldis_operator.model.installation import Installation, Managed, Volume
from aldis_operator.resources import names
from aldis_operator.resources.labels import selector
from aldis_operator.resources.objects import build_object, hash_of
from aldis_operator.resources.pods import build_template

CONFIG, ACCOUNT = "/etc/aldis/server", "/run/aldis/account"
MOUNTS: list[dict[str, Any]] = [
    {"name": "config", "mountPath": CONFIG, "readOnly": True},
    {"name": "account", "mountPath": ACCOUNT, "readOnly": True},
]
SLOW_START = 180  # looks of five seconds: a large log is replayed before anybody is let in


def build_config(installation: Installation, component: str, files: Mapping[str, str]) -> dict[str, Any]:
    """The ConfigMap with a server's files and scripts."""
    name = names.name_of(installation.name, component)
    return build_object(installation, "ConfigMap", name, component=component, data=dict(files))


def build_server(
    installation: Installation,
    component: str,
    server: Managed,
    *,
    told: Sequence[Mapping[str, Any]],
    containers: Sequence[dict[str, Any]],
    volumes: Sequence[dict[str, Any]] = (),
    grace_seconds: int,
    at_once: bool = False,
    **more: Any,
) -> dict[str, Any]:
    """The StatefulSet; pods are replaced when `told`, their files and passwords, is another."""
    name = names.name_of(installation.name, component)
    template = build_template(
        installation,
        component,
        server.pods,
        annotations={"aldis.dev/config": hash_of(told)},
        grace_seconds=grace_seconds,
        containers=containers,
        volumes=[
            {"name": "config", "configMap": {"name": name}},
            {
                "name": "account",
                "secret": {"secretName": names.account_of(installation.name, component), "defaultMode": 0o440},
            },
            *volumes,
        ],
        **more,
    )
    spec = {
        "replicas": server.pods.replicas,
        "serviceName": name,
        "selector": {"matchLabels": selector(installation, component)},
        "podManagementPolicy": "Parallel" if at_once else "OrderedReady",
        "revisionHistoryLimit": 3,
        "template": template,
        **_claims(installation, component, server.volume),
    }
    return build_object(installation, "StatefulSet", name, api="apps/v1", component=component, spec=spec)


def _claims(installation: Installation, component: str, volume: Volume | None) -> dict[str, Any]:
    if volume is None:
        return {}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": volume.size}}}
    chosen = {"storageClassName": volume.class_name} if volume.class_name is not None else {}
    claim = {
        "metadata": {"name": "data", "labels": selector(installation, component)},
        "spec": {**spec, **chosen},
    }
    leaves = "Retain" if installation.keeps_data else "Delete"
    return {
        "volumeClaimTemplates": [claim],
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": leaves, "whenScaled": "Retain"},
    }


def knock(port: int, **more: int) -> dict[str, Any]:
    """A probe that only connects."""
    return {"tcpSocket": {"port": port}, "periodSeconds": 5, "timeoutSeconds": 3, **more}


def script(name: str) -> list[str]:
    """The command that runs one of a server's own scripts."""
    return ["/bin/sh", f"{CONFIG}/{name}.sh"]
