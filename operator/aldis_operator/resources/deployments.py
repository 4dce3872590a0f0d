"""What the Deployments of gateways and workers have in common."""

from typing import Any

from aldis_operator.model.installation import Installation
from aldis_operator.resources.labels import selector
from aldis_operator.resources.objects import build_object

PROGRESS_SECONDS = 600  # a pod that is not ready by then is said to be stuck


def build_deployment(
    installation: Installation, name: str, component: str, template: dict[str, Any], *, group: str | None = None
) -> dict[str, Any]:
    """A Deployment that never has fewer pods than it should.

    It says no `replicas`: how many there are is written when it is made and by way of `/scale`, so that people and
    scalers can write it as well.
    """
    return build_object(
        installation,
        "Deployment",
        name,
        api="apps/v1",
        component=component,
        group=group,
        spec={
            "selector": {"matchLabels": selector(installation, component, group=group)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "revisionHistoryLimit": 3,
            "progressDeadlineSeconds": PROGRESS_SECONDS,
            "template": template,
        },
    )
