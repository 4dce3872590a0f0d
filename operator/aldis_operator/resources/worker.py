"""The workers: what rings again, sends what is scheduled, announces and tidies up. Nobody talks to them but probes."""

from typing import Any

from aldis_operator.model.installation import Installation, Workers
from aldis_operator.resources import names, runtime
from aldis_operator.resources.deployments import build_deployment
from aldis_operator.resources.pods import build_template


def build_workers(installation: Installation, workers: Workers, *, secrets: str) -> dict[str, Any]:
    """The Deployment of one group; `secrets` is a hash of what the referenced Secrets hold."""
    template = build_template(
        installation,
        names.WORKER,
        workers.pods,
        group=workers.name,
        annotations=runtime.revision(installation, secrets),
        grace_seconds=runtime.OWN_SECONDS + runtime.MARGIN_SECONDS,
        containers=[
            runtime.build_process(
                installation,
                names.WORKER,
                workers.pods,
                ports=[{"name": "admin", "containerPort": runtime.ADMIN_PORT, "protocol": "TCP"}],
                **runtime.build_probes(),
            )
        ],
        volumes=runtime.build_volumes(installation),
    )
    name = names.name_of(installation.name, names.WORKER, workers.name)
    return build_deployment(installation, name, names.WORKER, template, group=workers.name)
