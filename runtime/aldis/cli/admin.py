"""The commands for keys and channels, their options and their help. They work beside a running `aldis serve`."""
# ruff: noqa: PLC0415 - imports of a database's driver must not delay `aldis --help`

from typing import Annotated

import typer

from aldis.cli.options import AsJson, DataDir, read_name

keys = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Keys of backends.")
channels = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Channels, without Kubernetes.")


@keys.command("create")
def create_key(
    *,
    name: Annotated[str, typer.Argument(parser=read_name, metavar="NAME", help="The backend's name.")],
    channel: Annotated[
        list[str] | None,
        typer.Option(parser=read_name, metavar="CHANNEL", help="Only for this channel; may be given several times."),
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="It may administer, too.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it; it is not to be had again."""
    from aldis.cli import keys as commands

    commands.create(name, channels=channel or [], is_admin=admin, data_dir=data_dir, as_json=as_json)


@keys.command("list")
def list_keys(
    *,
    everything: Annotated[bool, typer.Option("--all", help="The revoked ones, too.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the keys that are valid; never their secrets."""
    from aldis.cli import keys as commands

    commands.show(everything=everything, data_dir=data_dir, as_json=as_json)


@keys.command("revoke")
def revoke_key(
    *,
    key: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `aldis key list` shows it.")],
    data_dir: DataDir = None,
) -> None:
    """Refuse a key from now on; a running server follows within seconds."""
    from aldis.cli import keys as commands

    commands.revoke(key, data_dir=data_dir)


@channels.command("apply")
def apply_channels(
    *,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Channels in YAML or JSON; - reads standard input.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Create or update the channels of a file. Nothing is done when one of them has a mistake."""
    from aldis.cli import channels as commands

    commands.apply(file, data_dir=data_dir, as_json=as_json)


@channels.command("list")
def list_channels(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the channels."""
    from aldis.cli import channels as commands

    commands.show(data_dir=data_dir, as_json=as_json)
