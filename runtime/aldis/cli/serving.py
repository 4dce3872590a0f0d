"""`aldis serve`."""

from pathlib import Path

from aldis import bootstrap
from aldis.cli import folder
from aldis.cli.failures import Failed


def serve(*, host: str | None, port: int | None, data_dir: Path | None) -> int:
    """Run everything until a signal; the exit code. Raises `Failed` when the folder or the port is taken."""
    settings = folder.load(data_dir, host=host, port=port)
    try:
        return bootstrap.serve(settings)
    except (bootstrap.DataDirLocked, bootstrap.ServeFailed) as error:
        raise Failed(str(error)) from error
