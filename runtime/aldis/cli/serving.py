"""`aldis serve`, and the roles of a cluster."""

import asyncio
from pathlib import Path

from aldis import bootstrap
from aldis.adapters.sql.schema_state import known_revisions
from aldis.cli import folder
from aldis.cli.failures import Failed
from aldis.domain.errors import AldisError
from aldis.settings import InvalidSettings, Settings, check_cluster, load_settings

ADMIN_PORT = 9090


def serve(*, host: str | None, port: int | None, data_dir: Path | None) -> int:
    """Run everything until a signal; the exit code. Raises `Failed` when the folder or the port is taken."""
    settings = folder.load(data_dir, host=host, port=port)
    try:
        return bootstrap.serve(settings)
    except (bootstrap.DataDirLocked, bootstrap.ServeFailed, InvalidSettings) as error:
        raise Failed(str(error)) from error


def run_gateway(*, host: str | None, port: int | None, admin_port: int | None) -> int:
    """Run what faces clients; the exit code. Raises `Failed`."""
    try:
        return bootstrap.run_gateway(_cluster_settings(host=host, port=port, admin_port=admin_port))
    except (bootstrap.ServeFailed, InvalidSettings) as error:
        raise Failed(str(error)) from error


def run_worker(*, host: str | None, admin_port: int | None) -> int:
    """Run what works behind; the exit code. Raises `Failed`."""
    try:
        return bootstrap.run_worker(_cluster_settings(host=host, port=None, admin_port=admin_port))
    except (bootstrap.ServeFailed, InvalidSettings) as error:
        raise Failed(str(error)) from error


def migrate() -> None:
    """Bring the database's schema up to date, and print how it stands. Raises `Failed`."""
    settings = folder.load(None)
    try:
        state = asyncio.run(bootstrap.migrate(settings))
    except AldisError as error:
        raise Failed(str(error)) from error
    newest = known_revisions()[0]
    ours = "the newest" if state.revision == newest else f"newer than this program's {newest}, which can use it"
    print(f"schema {state.revision}, {ours}; for programs that know {state.needs} or more")


def _cluster_settings(*, host: str | None, port: int | None, admin_port: int | None) -> Settings:
    """What all processes of a cluster share must be set. Administration always has a port of its own."""
    try:
        settings = load_settings(host=host, port=port, admin_port=admin_port)
        if settings.admin_port is None:
            settings = settings.model_copy(update={"admin_port": ADMIN_PORT})
        check_cluster(settings)
    except InvalidSettings as error:
        raise Failed(str(error)) from error
    return settings
