"""The commands, their options and their help; what they do is imported when they are called."""
# ruff: noqa: PLC0415 - imports of a whole server, or of a client, must not delay `aldis --help`

from typing import Annotated

import typer

from aldis.cli import admin
from aldis.cli.backends import scheduled
from aldis.cli.completing import complete_channel
from aldis.cli.failures import Answering
from aldis.cli.options import AsJson, DataDir, Url, read_duration, read_moment, read_name
from aldis.domain.streams import Priority

app = typer.Typer(
    cls=Answering,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(admin.keys, name="key")
app.add_typer(admin.channels, name="channel")
app.add_typer(admin.users, name="user")
app.add_typer(admin.dead_letters, name="dead-letter")
app.add_typer(scheduled, name="scheduled")


def _print_version(is_asked: bool) -> None:  # noqa: FBT001 - Typer calls it with the option's value
    if is_asked:
        from aldis import __version__

        print(f"aldis {__version__}")
        raise typer.Exit


@app.callback()
def aldis(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Aldis: a messaging platform for chat, notifications and broadcasts."""


@app.command()
def serve(
    *,
    host: Annotated[
        str | None, typer.Option(help="The address to listen on [default: 127.0.0.1].", show_default=False)
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The port; 0 takes a free one [default: 8080].")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Run everything in one process, until Ctrl-C."""
    from aldis.cli import serving

    raise typer.Exit(serving.serve(host=host, port=port, data_dir=data_dir))


Host = Annotated[str | None, typer.Option(help="The address to listen on [default: 127.0.0.1].", show_default=False)]
AdminPort = Annotated[
    int | None,
    typer.Option(
        min=0, max=65535, help="The port of probes, metrics and administration [default: 9090].", show_default=False
    ),
]


@app.command()
def gateway(
    *,
    host: Host = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="The port of clients [default: 8080].")] = None,
    admin_port: AdminPort = None,
) -> None:
    """Run what faces clients, as one of several; ALDIS_* variables say where the rest is."""
    from aldis.cli import serving

    raise typer.Exit(serving.run_gateway(host=host, port=port, admin_port=admin_port))


@app.command()
def worker(*, host: Host = None, admin_port: AdminPort = None) -> None:
    """Run what works behind, as one of several; ALDIS_* variables say where the rest is."""
    from aldis.cli import serving

    raise typer.Exit(serving.run_worker(host=host, admin_port=admin_port))


@app.command()
def migrate() -> None:
    """Bring the schema of the database at ALDIS_DATABASE_URL up to date; safe beside running processes."""
    from aldis.cli import serving

    serving.migrate()


@app.command()
def token(
    *,
    user: Annotated[str, typer.Argument(parser=read_name, metavar="USER", help="The user's id.")],
    ttl: Annotated[
        int, typer.Option(parser=read_duration, metavar="DURATION", help="How long it is valid: 30s, 15m, 1h, 7d.")
    ] = "1h",  # type: ignore[assignment]  # Typer reads a default as it reads what is typed
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Print a token for a user, signed with the data folder's secret."""
    from aldis.cli import signing

    signing.sign(user, ttl, data_dir=data_dir, as_json=as_json)


@app.command()
def send(
    *,
    to: Annotated[str, typer.Option(parser=read_name, metavar="USER", help="Who gets it.")],
    text: Annotated[str, typer.Option(metavar="TEXT", help="What it says; - reads standard input.")],
    as_user: Annotated[
        str | None, typer.Option("--as", parser=read_name, metavar="USER", help="Chat as this user.")
    ] = None,
    channel: Annotated[
        str | None,
        typer.Option(
            parser=read_name,
            metavar="CHANNEL",
            autocompletion=complete_channel,
            help="Notify through this channel, as a backend.",
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            envvar="ALDIS_KEY",
            metavar="KEY",
            help="The backend's key; without one, the data folder lends one for the call.",
        ),
    ] = None,
    priority: Annotated[Priority | None, typer.Option(help="How urgent it is.")] = None,
    client_id: Annotated[
        str | None, typer.Option(metavar="ID", help="The same id sends the same message only once.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            parser=read_moment, metavar="TIME", help="Send it then: 2026-11-24T08:00:00Z, or 10m from now. Needs a key."
        ),
    ] = None,
    url: Url = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Send a text to a user and print its message id.

    The sender is another user (--as), or a backend through a channel (--channel).
    """
    if (as_user is None) == (channel is None):
        raise typer.BadParameter("say who sends: either --as USER or --channel CHANNEL")
    if at is not None and (channel is None or key is None):
        raise typer.BadParameter("--at is for backends: say --channel, and --key with a key that is valid then, too")
    from aldis.cli import sending

    order = sending.Order(
        to=to, text=text, as_user=as_user, channel=channel, priority=priority, client_id=client_id, at=at
    )
    sending.send(order, key=key, server=url, data_dir=data_dir, as_json=as_json)


@app.command()
def doctor(
    *,
    data_dir: DataDir = None,
    url: Url = None,
    connections: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many sockets are expected at once [default: 500].")
    ] = 500,
    full: Annotated[bool, typer.Option("--full", help="Check all of the database, however long it takes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look at everything that a server depends on; say what is wrong and how to mend it.

    Changes nothing, and works beside a running server. Ends with 1 when something has failed.
    """
    from aldis.cli import examining

    order = examining.Order(data_dir=data_dir, server=url, connections=connections, is_full=full)
    raise typer.Exit(examining.examine(order, as_json=as_json))


@app.command()
def openapi(
    *,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where the server is reached, to stand in the document.")
    ] = None,
) -> None:
    """Print the description of REST: OpenAPI 3.1, as /openapi.json of a server has it."""
    from aldis.cli import describing

    describing.print_openapi(url)


@app.command()
def asyncapi(
    *,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where the server is reached, to stand in the document.")
    ] = None,
) -> None:
    """Print the description of the socket: AsyncAPI 3.0, as /asyncapi.json of a server has it."""
    from aldis.cli import describing

    describing.print_asyncapi(url)


@app.command()
def listen(
    *,
    as_user: Annotated[str, typer.Option("--as", parser=read_name, metavar="USER", help="Whose messages to show.")],
    device: Annotated[str, typer.Option(parser=read_name, metavar="ID", help="The name of this device.")] = "cli",
    url: Url = None,
    data_dir: DataDir = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show receipts and other news too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a user's messages as they arrive.

    Each is shown once; the next start goes on where this one stopped. Ends with Ctrl-C.
    """
    from aldis.cli import listening

    listening.listen(as_user, device, server=url, data_dir=data_dir, verbose=verbose, as_json=as_json)
