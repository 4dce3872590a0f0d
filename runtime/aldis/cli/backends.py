"""The commands of backends, their options and their help. They ask the server with the backend's own key."""
# ruff: noqa: PLC0415 - imports of an HTTP client must not delay `aldis --help`

from typing import Annotated

import typer

from aldis.cli.options import AsJson, DataDir, Url

Key = Annotated[str, typer.Option(envvar="ALDIS_KEY", metavar="KEY", help="The backend's key.", show_default=False)]

scheduled = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Sends that wait for their time.")


@scheduled.command("list")
def list_scheduled(
    *,
    key: Key,
    limit: Annotated[int, typer.Option(min=1, max=100_000, metavar="N", help="At most so many [default: 50].")] = 50,
    url: Url = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List what the backend has scheduled and what was refused when it was due, soonest first."""
    from aldis.cli import scheduled as commands

    commands.show(limit=limit, key=key, server=url, data_dir=data_dir, as_json=as_json)


@scheduled.command("cancel")
def cancel_scheduled(
    *,
    scheduled_id: Annotated[str, typer.Argument(metavar="ID", help="As `aldis scheduled list` shows it.")],
    key: Key,
    url: Url = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Take a scheduled send back; fails when it has been sent already."""
    from aldis.cli import scheduled as commands

    commands.cancel(scheduled_id, key=key, server=url, data_dir=data_dir, as_json=as_json)
