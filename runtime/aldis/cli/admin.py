"""The commands of administrators, their options and their help. They work beside a running `aldis serve`."""
# ruff: noqa: PLC0415 - imports of a database's driver must not delay `aldis --help`

from typing import TYPE_CHECKING, Annotated

import typer

from aldis.cli.completing import complete_channel
from aldis.cli.options import AsJson, DataDir, read_duration, read_name
from aldis.domain.callers import SENDING, Scope
from aldis.domain.deliveries import Reason
from aldis.domain.ids import UserId

if TYPE_CHECKING:
    from aldis.cli.dead_letters import Order

Expires = Annotated[
    int | None,
    typer.Option(
        parser=read_duration,
        metavar="DURATION",
        help="How long it is valid, as 90d [default: for ever].",
        show_default=False,
    ),
]

keys = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Keys of backends.")
channels = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Channels, without Kubernetes.")
dead_letters = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Messages that recipients did not get.")
users = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Users, as administrators see them.")


@keys.command("create")
def create_key(
    *,
    name: Annotated[str, typer.Argument(parser=read_name, metavar="NAME", help="The backend's name.")],
    channel: Annotated[
        list[str] | None,
        typer.Option(
            parser=read_name,
            metavar="CHANNEL",
            autocompletion=complete_channel,
            help="Only for this channel; may be given several times.",
        ),
    ] = None,
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="What it may do, several times for more [default: send and send_as].", show_default=False),
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="It may administer, too.")] = False,
    expires: Expires = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it; it is not to be had again."""
    from aldis.cli import keys as commands

    scopes = {*(scope or SENDING), *([Scope.ADMIN] if admin else [])}
    commands.create(name, channels=channel or [], scopes=scopes, expires_in=expires, data_dir=data_dir, as_json=as_json)


@keys.command("rotate")
def rotate_key(
    *,
    name: Annotated[str, typer.Argument(parser=read_name, metavar="NAME", help="The backend's name, or a key's id.")],
    overlap: Annotated[
        int, typer.Option(parser=read_duration, metavar="DURATION", help="How long the old ones still work.")
    ] = "24h",  # type: ignore[assignment]  # Typer reads a default as it reads what is typed
    expires: Expires = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a key with the same rights and print it; the old ones end after the overlap."""
    from aldis.cli import keys as commands

    commands.rotate(name, overlap=overlap, expires_in=expires, data_dir=data_dir, as_json=as_json)


@keys.command("list")
def list_keys(
    *,
    everything: Annotated[bool, typer.Option("--all", help="The ones that have ended, too.")] = False,
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
    as_json: AsJson = False,
) -> None:
    """Refuse a key from now on; a running server follows within seconds."""
    from aldis.cli import keys as commands

    commands.revoke(key, data_dir=data_dir, as_json=as_json)


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


@users.callback()
def user() -> None:
    """Users, as administrators see them."""


@users.command("erase")
def erase_user(
    *,
    user: Annotated[str, typer.Argument(parser=read_name, metavar="USER", help="The user's id.")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the running server has done it.")] = True,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Erase a user: what he wrote, what was sent to him alone, and all that is about him. It cannot be undone."""
    from aldis.cli import users as commands

    commands.erase(user, wait=wait, data_dir=data_dir, as_json=as_json)


LetterId = Annotated[str | None, typer.Argument(metavar="ID", help="One letter, by its id.", show_default=False)]
LetterChannel = Annotated[
    str | None,
    typer.Option(
        "--channel", parser=read_name, metavar="CHANNEL", autocompletion=complete_channel, help="Only of this channel."
    ),
]
LetterReason = Annotated[Reason | None, typer.Option("--reason", help="Only those that failed for this reason.")]
LetterRecipient = Annotated[
    str | None, typer.Option("--recipient", parser=read_name, metavar="USER", help="Only those for this user.")
]
EveryLetter = Annotated[bool, typer.Option("--all", help="All of them.")]


@dead_letters.command("list")
def list_letters(
    *,
    channel: LetterChannel = None,
    reason: LetterReason = None,
    recipient: LetterRecipient = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, metavar="N", help="At most so many [default: 50].")] = 50,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List messages that have failed for a recipient, newest first."""
    from aldis.cli import dead_letters as commands
    from aldis.ports.dead_letters import LetterFilter

    wanted = LetterFilter(channel, reason, UserId(recipient) if recipient is not None else None)
    commands.show(wanted, limit=limit, data_dir=data_dir, as_json=as_json)


@dead_letters.command("replay")
def replay_letters(
    letter: LetterId = None,
    *,
    channel: LetterChannel = None,
    reason: LetterReason = None,
    recipient: LetterRecipient = None,
    everything: EveryLetter = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the running server has done it.")] = True,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Ring for messages again, from the first attempt; what has expired gets its whole life again."""
    from aldis.cli import dead_letters as commands

    order = read_order(letter, channel, reason, recipient, everything=everything)
    commands.replay(order, wait=wait, data_dir=data_dir, as_json=as_json)


@dead_letters.command("purge")
def purge_letters(
    letter: LetterId = None,
    *,
    channel: LetterChannel = None,
    reason: LetterReason = None,
    recipient: LetterRecipient = None,
    everything: EveryLetter = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Forget dead letters; their messages have failed as before, and are kept. It cannot be undone."""
    from aldis.cli import dead_letters as commands

    order = read_order(letter, channel, reason, recipient, everything=everything)
    commands.purge(order, data_dir=data_dir, as_json=as_json)


def read_order(
    letter: str | None, channel: str | None, reason: Reason | None, recipient: str | None, *, everything: bool
) -> "Order":
    """Which letters are meant: an id, filters or `--all`, one of the three."""
    from aldis.cli.dead_letters import Order
    from aldis.ports.dead_letters import LetterFilter

    wanted = LetterFilter(channel, reason, UserId(recipient) if recipient is not None else None)
    if sum((letter is not None, not wanted.is_empty, everything)) != 1:
        raise typer.BadParameter("say which: an ID, or --channel, --reason, --recipient, or --all")
    return Order(letter=letter, wanted=wanted)
