"""`aldis scheduled`: what a backend has scheduled, asked of the server with the backend's own key."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2

from aldis.cli import folder
from aldis.cli.failures import Failed
from aldis.cli.posting import open_http, read_problem
from aldis.cli.server import Server
from aldis.cli.tables import build_table, print_json
from aldis.cli.terminal import say

T = TypeVar("T")
PAGE = 200  # of the list, for each call
FIELDS = ("scheduled_id", "send_at", "state", "reason", "to", "channel", "from", "client_id", "created_at")


def show(*, limit: int, key: str, server: Server | None, data_dir: Path | None, as_json: bool) -> None:
    """Print what waits and what has failed, soonest first."""
    items, is_all = _ask(lambda client, url: _list(client, url, limit), key, server, data_dir)
    if as_json:
        print_json([{name: item[name] for name in FIELDS} for item in items])
    else:
        print("\n".join(build_table(["ID", "SEND AT", "STATE", "TO", "CHANNEL", "REASON"], [*map(to_row, items)])))
    if not is_all:
        say("There are more: see --limit.")


def cancel(scheduled: str, *, key: str, server: Server | None, data_dir: Path | None, as_json: bool) -> None:
    """Take one back, before it is sent or not at all."""
    _ask(lambda client, url: _call(client, "DELETE", f"{url}/{quote(scheduled, safe='')}"), key, server, data_dir)
    if as_json:
        print_json({"scheduled_id": scheduled, "state": "cancelled"})
    else:
        print(f"{scheduled} is taken back", flush=True)


def to_row(item: dict[str, Any]) -> list[str]:
    """A scheduled send for people."""
    (target,) = item["to"].values()
    to = target if isinstance(target, str) else target[0] if len(target) == 1 else f"{len(target)} users"
    reason = f"{item['reason']['code']}: {item['reason']['message']}" if item["reason"] is not None else ""
    return [item["scheduled_id"], item["send_at"], item["state"], to, item["channel"] or "", reason]


def _ask(
    call: Callable[[httpx2.AsyncClient, str], Awaitable[T]], key: str, server: Server | None, data_dir: Path | None
) -> T:
    """What a call to the server answers."""
    found = folder.find_server(folder.load(data_dir), server)

    async def ask() -> T:
        async with open_http(found, key) as client:
            return await call(client, f"{found.url}/v1/scheduled")

    return asyncio.run(ask())


async def _list(client: httpx2.AsyncClient, url: str, limit: int) -> tuple[list[dict[str, Any]], bool]:
    items: list[dict[str, Any]] = []
    query: dict[str, str | int] = {"limit": min(limit, PAGE)}
    while True:
        page = (await _call(client, "GET", url, query)).json()
        items += page["items"]
        if page["next"] is None or len(items) >= limit:
            return items[:limit], page["next"] is None and len(items) <= limit
        query["cursor"] = page["next"]


async def _call(
    client: httpx2.AsyncClient, method: str, url: str, query: dict[str, str | int] | None = None
) -> httpx2.Response:
    try:
        response = await client.request(method, url, params=query)
    except httpx2.TransportError as error:
        raise Failed(f"cannot reach {url}: {str(error) or type(error).__name__}") from error
    if not response.is_success:
        raise Failed(read_problem(response, url))
    return response
