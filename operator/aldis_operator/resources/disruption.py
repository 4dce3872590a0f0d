"""How many pods may be taken away at once when nodes are emptied."""

from typing import Any

from aldis_operator.model.installation import Installation
from aldis_operator.resources import names
from aldis_operator.resources.labels import selector
from aldis_operator.resources.objects import build_object


def build_budget(
    installation: Installation, component: str, replicas: int, *, group: str | None = None
) -> dict[str, Any] | None:
    """One at a time. None for a single pod: its budget would only keep the node from ever being emptied."""
    if replicas <= 1:
        return None
    return build_object(
        installation,
        "PodDisruptionBudget",
        names.name_of(installation.name, component, *([group] if group is not None else [])),
        api="policy/v1",
        component=component,
        group=group,
        spec={
            "maxUnavailable": 1,
            "selector": {"matchLabels": selector(installation, component, group=group)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",  # a pod that does not work protects nobody
        },
    )
