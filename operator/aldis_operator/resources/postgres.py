"""The managed database: one PostgreSQL, its folder on a volume."""

from typing import Any

from aldis_operator.model.installation import Installation, Managed
from aldis_operator.resources import names, security, servers
from aldis_operator.resources.derived import Root
from aldis_operator.resources.network import POSTGRES_PORT
from aldis_operator.resources.pods import build_container
from aldis_operator.resources.quantity import MIB, memory_of
from aldis_operator.resources.secrets import USER, build_secret
from aldis_operator.resources.services import build_server_service

DATA = "/var/lib/aldis/postgres"
SOCKETS = "/run/postgresql"
STOP_SECONDS = 60
GRACE_SECONDS = STOP_SECONDS + 30

# Debian keeps the programs out of PATH, the official image has them there.
PATHS = 'for folder in /usr/lib/postgresql/*/bin; do PATH="$folder:$PATH"; done\n'

# A folder is made beside its place and moved there when it is whole, so a pod may be killed at any moment.
PREPARE = f"""\
set -eu
{PATHS}
data={DATA}/data
version=$(postgres --version | sed 's/[^0-9]*\\([0-9]*\\).*/\\1/')
if [ -s "$data/PG_VERSION" ]; then
  found=$(cat "$data/PG_VERSION")
  chmod 700 "$data" # a kubelet may have opened it to our group, and then PostgreSQL refuses it
  [ "$found" = "$version" ] && exit 0
  echo "the volume is of PostgreSQL $found, the image of $version: take an image of $found, or move the data" >&2
  exit 1
fi
draft={DATA}/draft
rm -rf "$draft"
initdb -D "$draft" -U postgres --pwfile={servers.ACCOUNT}/admin -A scram-sha-256 \\
    -E UTF8 --locale=C.UTF-8 --data-checksums --no-instructions
password=$(cat {servers.ACCOUNT}/password)
postgres --single -D "$draft" -c exit_on_error=true postgres >/dev/null <<END
CREATE ROLE {USER} LOGIN PASSWORD '$password'
CREATE DATABASE {USER} OWNER {USER}
END
mv "$draft" "$data"
sync
"""
RUN = f"""\
set -eu
{PATHS}
exec postgres -D {DATA}/data -c config_file={servers.CONFIG}/postgresql.conf
"""
READY = f"""\
{PATHS}
exec pg_isready -q -h {SOCKETS}
"""
# SIGTERM would wait for every client to go; this ends their transactions and closes the log in good order.
STOP = f"""\
{PATHS}
exec pg_ctl -D {DATA}/data -m fast -w -t {STOP_SECONDS} stop
"""
ACCESS = "local all all scram-sha-256\nhost all all all scram-sha-256\n"


def build_postgres(installation: Installation, database: Managed, root: Root) -> list[dict[str, Any]]:
    """Secret, ConfigMap, Service and StatefulSet."""
    passwords = {"admin": root.derive("postgres-admin"), "password": root.derive(names.POSTGRES)}
    account = names.account_of(installation.name, names.POSTGRES)
    files, secret = (
        _files(installation, database),
        build_secret(installation, account, passwords, component=names.POSTGRES),
    )
    return [
        secret,
        servers.build_config(installation, names.POSTGRES, files),
        build_server_service(installation, names.POSTGRES, {"postgres": POSTGRES_PORT}, is_headless=False),
        servers.build_server(
            installation,
            names.POSTGRES,
            database,
            told=[files, secret["data"]],
            grace_seconds=GRACE_SECONDS,
            initContainers=[_prepare(database)],
            containers=[_server(database)],
            volumes=[
                {"name": "sockets", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
                {"name": "shm", "emptyDir": {"medium": "Memory"}},  # the runtime's 64 MiB are too few for large queries
            ],
        ),
    ]


def _files(installation: Installation, database: Managed) -> dict[str, str]:
    return {
        "passwd": f"{USER}:x:{security.UID}:{security.UID}::/tmp:/bin/sh\n",  # initdb wants its account to have a name
        "pg_hba.conf": ACCESS,
        "postgresql.conf": _settings(installation, database),
        "prepare.sh": PREPARE,
        "ready.sh": READY,
        "run.sh": RUN,
        "stop.sh": STOP,
    }


def _settings(installation: Installation, database: Managed) -> str:
    memory = memory_of(database.pods.compute) // MIB
    return f"""\
hba_file = '{servers.CONFIG}/pg_hba.conf'
listen_addresses = '*'
port = {POSTGRES_PORT}
unix_socket_directories = '{SOCKETS}'
max_connections = {installation.database_connections}
shared_buffers = {memory // 4}MB
effective_cache_size = {memory * 3 // 4}MB
maintenance_work_mem = {max(16, memory // 16)}MB
password_encryption = scram-sha-256
fsync = on
synchronous_commit = on
full_page_writes = on
max_wal_size = 1GB
log_destination = 'stderr'
logging_collector = off
"""


_VOLUMES = [
    *servers.MOUNTS,
    {"name": "data", "mountPath": DATA},
    {"name": "sockets", "mountPath": SOCKETS},
    {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - a volume of the pod's own
    {"name": "config", "mountPath": "/etc/passwd", "subPath": "passwd", "readOnly": True},
]


def _prepare(database: Managed) -> dict[str, Any]:
    return build_container(
        "prepare", database.image, database.pods.compute, mounts=_VOLUMES, command=servers.script("prepare")
    )


def _server(database: Managed) -> dict[str, Any]:
    ready = {"exec": {"command": servers.script("ready")}, "periodSeconds": 5, "timeoutSeconds": 5}
    return build_container(
        names.POSTGRES,
        database.image,
        database.pods.compute,
        mounts=_VOLUMES,
        command=servers.script("run"),
        ports=[{"name": "postgres", "containerPort": POSTGRES_PORT, "protocol": "TCP"}],
        lifecycle={"preStop": {"exec": {"command": servers.script("stop")}}},
        startupProbe={**ready, "failureThreshold": servers.SLOW_START},
        readinessProbe={**ready, "failureThreshold": 3},
        livenessProbe=servers.knock(POSTGRES_PORT, failureThreshold=12),
    )
