"""The Job that brings the schema up to date, before the pods of a version are there."""

from typing import Any

from aldis_operator.model.installation import Compute, Installation, Pods
from aldis_operator.resources import names, runtime
from aldis_operator.resources.objects import build_object, hash_of
from aldis_operator.resources.pods import build_template

ATTEMPTS = 6  # over some minutes: the database may not be there yet
DEADLINE_SECONDS = 3600
HASH_CHARACTERS = 10  # as many as still make a label of the longest name
_COMPUTE = Compute(requests={"cpu": "50m", "memory": "128Mi"}, limits={"memory": "512Mi"})
_PODS = Pods(replicas=1, compute=_COMPUTE, node_selector={}, tolerations=(), priority_class=None)


def build_migration(installation: Installation, *, secrets: str) -> dict[str, Any]:
    """The Job of this image, for this database. A Job cannot change, so another of either has another name."""
    template = build_template(
        installation,
        names.MIGRATE,
        _PODS,
        grace_seconds=30,
        containers=[runtime.build_process(installation, names.MIGRATE, _PODS)],
        volumes=runtime.build_volumes(installation),
        restartPolicy="Never",
    )
    number = hash_of([template, secrets])[:HASH_CHARACTERS]
    return build_object(
        installation,
        "Job",
        names.name_of(installation.name, names.MIGRATE, number),
        api="batch/v1",
        component=names.MIGRATE,
        spec={"backoffLimit": ATTEMPTS, "activeDeadlineSeconds": DEADLINE_SECONDS, "template": template},
    )
