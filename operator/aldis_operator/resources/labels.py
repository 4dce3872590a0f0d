"""The labels of child objects: those that Kubernetes recommends for all to use."""

from aldis_operator.model.installation import Installation

PREFIX = "app.kubernetes.io"
APP = "aldis"
OPERATOR = "aldis-operator"
GROUP = "aldis.dev/workers"


def selector(installation: Installation, component: str, *, group: str | None = None) -> dict[str, str]:
    """What tells the pods of a component apart. It can never change: selectors are immutable."""
    own = {GROUP: group} if group is not None else {}
    return {
        f"{PREFIX}/name": APP,
        f"{PREFIX}/instance": installation.name,
        f"{PREFIX}/component": component,
        **own,
    }


def labels(installation: Installation, component: str, *, group: str | None = None) -> dict[str, str]:
    """All labels of an object; those of `selector` and what people look for."""
    return {
        **selector(installation, component, group=group),
        f"{PREFIX}/part-of": APP,
        f"{PREFIX}/managed-by": OPERATOR,
    }
