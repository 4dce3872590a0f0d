"""The managed broker: one RabbitMQ, or a cluster of three."""

from typing import Any

from aldis_operator.model.installation import Installation, Managed
from aldis_operator.resources import names, servers
from aldis_operator.resources.derived import Root
from aldis_operator.resources.network import AMQP_PORT, NODE_PORTS
from aldis_operator.resources.pods import build_container
from aldis_operator.resources.quantity import MIB, memory_of, to_bytes
from aldis_operator.resources.secrets import USER, build_secret
from aldis_operator.resources.services import build_server_service

HOME, DATA = "/var/lib/aldis/rabbitmq", "/var/lib/aldis/rabbitmq/data"
RUN_FOLDER = "/run/rabbitmq"
QUORUM_SECONDS = 60
GRACE_SECONDS = QUORUM_SECONDS + 60
WATERMARK = 0.6  # of the container's memory; beyond it publishers wait, and the rest is for what is being worked on
FREE_SHARE = 10  # a tenth of the volume stays free, or publishers wait

# Debian's program in PATH is a wrapper that insists on an account; the official image has its own folder.
PATHS = 'PATH="/usr/lib/rabbitmq/bin:/opt/rabbitmq/sbin:$PATH"\n'
PREPARE = f"""\
set -eu
umask 077
rm -f {HOME}/.erlang.cookie
cat {servers.ACCOUNT}/cookie >{HOME}/.erlang.cookie
chmod 400 {HOME}/.erlang.cookie
mkdir -p {DATA}
cat {servers.CONFIG}/node.conf {servers.ACCOUNT}/account.conf >{RUN_FOLDER}/rabbitmq.conf
"""
RUN = f"""\
set -eu
{PATHS}
exec rabbitmq-server
"""
# A node leaves when its queues have a majority without it. A last one, or one that hangs, is not waited for.
STOP = f"""\
{PATHS}
rabbitmq-upgrade await_online_quorum_plus_one -t {QUORUM_SECONDS} || true
"""


def build_rabbitmq(installation: Installation, broker: Managed, root: Root) -> list[dict[str, Any]]:
    """Secret, ConfigMap, Service and StatefulSet."""
    account = {
        "account.conf": f"default_user = {USER}\ndefault_pass = {root.derive(names.RABBITMQ)}\n",
        "cookie": root.derive("rabbitmq-cookie"),
    }
    files = {
        "enabled_plugins": "[].\n",
        "node.conf": _settings(installation, broker),
        "prepare.sh": PREPARE,
        "run.sh": RUN,
        "stop.sh": STOP,
    }
    name = names.account_of(installation.name, names.RABBITMQ)
    secret = build_secret(installation, name, account, component=names.RABBITMQ)
    return [
        secret,
        servers.build_config(installation, names.RABBITMQ, files),
        build_server_service(
            installation,
            names.RABBITMQ,
            {"amqp": AMQP_PORT, "epmd": NODE_PORTS[0], "nodes": NODE_PORTS[1]},
            is_headless=True,
        ),
        servers.build_server(
            installation,
            names.RABBITMQ,
            broker,
            told=[files, secret["data"]],
            grace_seconds=GRACE_SECONDS,
            at_once=True,  # nodes that were all away wait for each other
            initContainers=[_prepare(broker)],
            containers=[_server(installation, broker)],
            volumes=[{"name": "run", "emptyDir": {}}],
        ),
    ]


def _settings(installation: Installation, broker: Managed) -> str:
    watermark = int(memory_of(broker.pods.compute) * WATERMARK) // MIB
    free = to_bytes(broker.volume.size) // FREE_SHARE // MIB if broker.volume is not None else 50
    nodes = broker.pods.replicas
    return f"""\
listeners.tcp.default = {AMQP_PORT}
loopback_users = none
default_vhost = {USER}
default_user_tags.administrator = false
vm_memory_high_watermark.absolute = {watermark}MiB
disk_free_limit.absolute = {free}MiB
log.console = true
log.console.level = info
log.file = false
queue_leader_locator = balanced
cluster_partition_handling = pause_minority
quorum_queue.continuous_membership_reconciliation.enabled = true
quorum_queue.continuous_membership_reconciliation.target_group_size = {nodes}
cluster_formation.peer_discovery_backend = classic_config
{_peers(installation, nodes)}"""


def _peers(installation: Installation, nodes: int) -> str:
    where = installation.name, installation.namespace, names.RABBITMQ
    return "".join(
        f"cluster_formation.classic_config.nodes.{node + 1} = rabbit@{names.host_of(*where, node=node)}\n"
        for node in range(nodes)
    )


_VOLUMES = [*servers.MOUNTS, {"name": "data", "mountPath": HOME}, {"name": "run", "mountPath": RUN_FOLDER}]


def _prepare(broker: Managed) -> dict[str, Any]:
    return build_container(
        "prepare", broker.image, broker.pods.compute, mounts=_VOLUMES, command=servers.script("prepare")
    )


def _server(installation: Installation, broker: Managed) -> dict[str, Any]:
    return build_container(
        names.RABBITMQ,
        broker.image,
        broker.pods.compute,
        mounts=_VOLUMES,
        command=servers.script("run"),
        env=_variables(installation),
        ports=[{"name": "amqp", "containerPort": AMQP_PORT, "protocol": "TCP"}],
        **(
            {"lifecycle": {"preStop": {"exec": {"command": servers.script("stop")}}}}
            if broker.pods.replicas > 1
            else {}
        ),
        startupProbe=servers.knock(AMQP_PORT, failureThreshold=servers.SLOW_START),
        readinessProbe=servers.knock(AMQP_PORT, failureThreshold=3),
        livenessProbe=servers.knock(AMQP_PORT, failureThreshold=12),
    )


def _variables(installation: Installation) -> list[dict[str, Any]]:
    """Nothing of the image's own: names, files and folders are ours."""
    service = names.host_of(installation.name, installation.namespace, names.RABBITMQ)
    fixed = {
        "HOME": HOME,
        "ERL_CRASH_DUMP_SECONDS": "0",
        "RABBITMQ_ADVANCED_CONFIG_FILE": f"{RUN_FOLDER}/advanced.config",
        "RABBITMQ_CONFIG_FILE": f"{RUN_FOLDER}/rabbitmq.conf",
        "RABBITMQ_CONFIG_FILES": f"{RUN_FOLDER}/conf.d/*.conf",  # there are none: those of the image are not asked
        "RABBITMQ_CONF_ENV_FILE": f"{RUN_FOLDER}/rabbitmq-env.conf",
        "RABBITMQ_ENABLED_PLUGINS_FILE": f"{servers.CONFIG}/enabled_plugins",
        "RABBITMQ_LOG_BASE": RUN_FOLDER,
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_MNESIA_BASE": DATA,
        "RABBITMQ_NODENAME": f"rabbit@$(POD_NAME).{service}",
        "RABBITMQ_PID_FILE": f"{RUN_FOLDER}/rabbitmq.pid",
        "RABBITMQ_USE_LONGNAME": "true",
    }
    pod = {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    return [pod, *({"name": name, "value": value} for name, value in fixed.items())]
