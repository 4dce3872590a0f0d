"""The addresses: of gateways for clients, of each gateway for administration, and of the managed servers."""

from typing import Any

from aldis_operator.model.installation import Installation
from aldis_operator.resources import names, runtime
from aldis_operator.resources.labels import selector
from aldis_operator.resources.objects import build_object

HTTP_PORT = 80


def build_client_service(installation: Installation) -> dict[str, Any]:
    """Where clients and an ingress find a gateway that is ready; the internal port is not among its ports."""
    return _service(
        installation,
        names.GATEWAY,
        names.GATEWAY,
        ports=[{"name": "http", "port": HTTP_PORT, "targetPort": "http", "protocol": "TCP", "appProtocol": "http"}],
    )


def build_admin_service(installation: Installation) -> dict[str, Any]:
    """Where metrics and `/v1/admin` are, of each gateway by itself, ready or not."""
    ports = [{"name": "admin", "port": runtime.ADMIN_PORT, "targetPort": "admin", "protocol": "TCP"}]
    return _service(installation, names.ADMIN, names.GATEWAY, ports=ports, **_HEADLESS)


def build_server_service(
    installation: Installation, component: str, ports: dict[str, int], *, is_headless: bool
) -> dict[str, Any]:
    """The service of a managed server: of one pod by an address that stays, of several by a name for each."""
    listed = [{"name": name, "port": port, "targetPort": port, "protocol": "TCP"} for name, port in ports.items()]
    return _service(installation, component, component, ports=listed, **(_HEADLESS if is_headless else {}))


_HEADLESS = {"clusterIP": "None", "publishNotReadyAddresses": True}


def _service(installation: Installation, part: str, component: str, **spec: Any) -> dict[str, Any]:
    return build_object(
        installation,
        "Service",
        names.name_of(installation.name, part),
        component=component,
        spec={"type": "ClusterIP", "selector": selector(installation, component), **spec},
    )
