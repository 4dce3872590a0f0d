"""`aldis send`: one message over REST, as a user or as a backend, repeated under one client id until it is answered."""

import asyncio
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aldis.cli import folder
from aldis.cli.documents import STANDARD_INPUT, read_text
from aldis.cli.posting import open_http, post
from aldis.cli.server import Server
from aldis.cli.tables import print_json
from aldis.cli.terminal import escape
from aldis.domain.streams import Priority
from aldis.settings import Settings

TOKEN_SECONDS = 600  # longer than all tries of a send together


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was asked for; exactly one of `as_user` and `channel` is set."""

    to: str
    text: str
    as_user: str | None = None
    channel: str | None = None
    priority: Priority | None = None
    client_id: str | None = None
    at: str | None = None


def send(order: Order, *, key: str | None, server: Server | None, data_dir: Path | None, as_json: bool) -> None:
    """Send, and print the id of the message, or of the scheduled send, or the whole answer."""
    settings = folder.load(data_dir)
    answer = asyncio.run(_send(order, key, folder.find_server(settings, server), settings))
    if as_json:
        print_json(answer)
    else:
        print(escape(str(answer.get("message_id", answer.get("scheduled_id")))), flush=True)


async def _send(order: Order, key: str | None, server: Server, settings: Settings) -> dict[str, Any]:
    body = build_body(order, read_message(order.text))
    if order.as_user is not None:
        return await _post(server, folder.sign(settings, order.as_user, TOKEN_SECONDS), body)
    if key is not None:
        return await _post(server, key, body)
    from aldis.cli.lent_key import lend_key  # noqa: PLC0415 - only this way needs the store, which is slow to import

    assert order.channel is not None
    async with lend_key(settings, channel=order.channel) as lent:
        return await _post(server, lent, body)


async def _post(server: Server, credential: str, body: dict[str, Any]) -> dict[str, Any]:
    async with open_http(server, credential) as client:
        return await post(client, server.messages_url, body, sleep=asyncio.sleep)


def read_message(text: str) -> str:
    """The text, or what standard input holds, without the newline at its end."""
    return read_text(STANDARD_INPUT).removesuffix("\n") if text == STANDARD_INPUT else text


def build_body(order: Order, text: str) -> dict[str, Any]:
    """What is posted."""
    notification = {"kind": "notification", "channel": order.channel} if order.channel is not None else {}
    urgency = {"priority": order.priority.value} if order.priority is not None else {}
    time = {"send_at": order.at} if order.at is not None else {}
    return {
        "to": {"user": order.to},
        "content": {"type": "text", "text": text},
        "client_id": order.client_id if order.client_id is not None else str(uuid.uuid4()),
        **notification,
        **urgency,
        **time,
    }
