"""The gateways: what clients talk to."""

from typing import Any

from aldis_operator.model.installation import Gateways, Installation
from aldis_operator.resources import names, runtime
from aldis_operator.resources.deployments import build_deployment
from aldis_operator.resources.pods import build_template


def build_gateways(installation: Installation, *, secrets: str) -> dict[str, Any]:
    """Their Deployment; `secrets` is a hash of what the referenced Secrets hold."""
    gateways = installation.gateways
    template = build_template(
        installation,
        names.GATEWAY,
        gateways.pods,
        annotations=runtime.revision(installation, secrets),
        grace_seconds=grace_seconds(gateways),
        containers=[
            runtime.build_process(
                installation,
                names.GATEWAY,
                gateways.pods,
                settings={"PRE_STOP_SECONDS": gateways.pre_stop_seconds, "DRAIN_SECONDS": gateways.drain_seconds},
                ports=[
                    {"name": "http", "containerPort": runtime.CLIENT_PORT, "protocol": "TCP"},
                    {"name": "admin", "containerPort": runtime.ADMIN_PORT, "protocol": "TCP"},
                ],
                **runtime.build_probes(),
            )
        ],
        volumes=runtime.build_volumes(installation),
    )
    return build_deployment(installation, names.name_of(installation.name, names.GATEWAY), names.GATEWAY, template)


def grace_seconds(gateways: Gateways) -> int:
    """How long one may take to leave. There is no preStop hook: the process itself takes clients after SIGTERM."""
    return gateways.pre_stop_seconds + gateways.drain_seconds + runtime.OWN_SECONDS + runtime.MARGIN_SECONDS
