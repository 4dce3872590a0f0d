"""`aldis listen`: shows what arrives for a user, until it is interrupted or the server wants it no more."""

import asyncio
import signal
import sqlite3
import sys
from datetime import datetime
from pathlib import Path

from aldis.cli import folder
from aldis.cli.connection_news import ConnectionNews
from aldis.cli.failures import Failed
from aldis.cli.place import LineOf, Place, open_place, place_path
from aldis.cli.rendering import render_event, to_json
from aldis.cli.server import Server
from aldis.cli.tables import to_json_line
from aldis.cli.terminal import paint_for
from aldis.settings import Settings
from aldis_client import AldisClient, Disconnected, Event

TOKEN_SECONDS = 24 * 3600  # a connection lives as long as its token; the client asks for the next one by itself


def listen(
    user: str, device: str, *, server: Server | None, data_dir: Path | None, verbose: bool, as_json: bool
) -> None:
    """Show what arrives. Comes back when it is interrupted; raises `Failed` when it cannot go on."""
    settings = folder.load(data_dir)
    folder.signing_secret(settings)  # rather a clear word now than an error from inside the client
    server = folder.find_server(settings, server)
    path, line_of = place_path(settings.data_dir, user, device), build_line_of(verbose=verbose, as_json=as_json)
    try:
        with open_place(path, line_of=line_of, out=sys.stdout) as place:
            place.show_waiting()
            asyncio.run(_listen_until_signal(place, user, device, server, settings))
    except sqlite3.Error as error:
        raise Failed(f"cannot use {path}: {error}") from error
    except Disconnected as error:
        raise Failed(f"the server ended it: {error}") from error


def build_line_of(*, verbose: bool, as_json: bool) -> LineOf:
    """What makes the line of an event: messages always, other news when they are asked for."""
    paint = paint_for(sys.stdout)

    def line_of(event: Event) -> str | None:
        if event.message is None and not verbose:
            return None
        if as_json:
            return to_json_line(to_json(event))
        return render_event(event, paint=paint, now=datetime.now().astimezone())

    return line_of


async def _listen_until_signal(place: Place, user: str, device: str, server: Server, settings: Settings) -> None:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    is_over = asyncio.Event()

    def stop() -> None:
        is_over.set()
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        await _listen(place, user, device, server, settings)
    except asyncio.CancelledError:
        if not is_over.is_set():
            raise


async def _listen(place: Place, user: str, device: str, server: Server, settings: Settings) -> None:
    async def token() -> str:
        return folder.sign(settings, user, TOKEN_SECONDS)

    news = ConnectionNews(is_first=place.cursor is None)
    client = AldisClient(
        server.socket_url,
        token,
        device_id=device,
        store=place,
        on_reset=news.on_reset,
        on_ephemeral=place.show,
        on_frame=news.on_frame,
        queue_size=0,  # the place shows each event; nothing has to wait
        open_timeout=None,
        proxy=None if server.is_local else True,
    )
    with news.from_log():
        async with client:
            async for _ in client.events():
                pass
