"""A whole device in little code: it resumes where it stopped and keeps each message exactly once, killed or not.

    python examples/device.py http://127.0.0.1:8080 "$(aldis token alice)" phone.db

It needs `websockets` alone. What it has taken is in the file; what is new is printed. docs/streams.md explains it.
"""

import asyncio
import json
import random
import re
import sqlite3
import sys
import urllib.request

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

PATIENCE = 60  # seconds without a frame, in which two pings should have come: the line is dead
TABLES = """CREATE TABLE IF NOT EXISTS place (only INTEGER PRIMARY KEY CHECK (only = 1), cursor TEXT NOT NULL);
            CREATE TABLE IF NOT EXISTS messages (id TEXT PRIMARY KEY, body TEXT NOT NULL)"""


class Phone:
    """Messages and the cursor behind them, in one file, so that one transaction changes both."""

    def __init__(self, path: str) -> None:
        self.database = sqlite3.connect(path)
        self.database.executescript(TABLES)
        row = self.database.execute("SELECT cursor FROM place").fetchone()
        self.cursor = row[0] if row else None

    def begin(self, cursor: str, messages: list[dict]) -> None:
        """Throw everything away and begin anew: here, with these."""
        with self.database:
            self.database.execute("DELETE FROM messages")
            self._keep(cursor, messages)

    def apply(self, source: str, events: list[dict]) -> list[dict]:
        """Keep what is new of a frame; durable when this returns."""
        epoch, positions = parse(self.cursor)
        new = [event for event in events if event["pos"] > positions[source]]  # rule 1: drop what was applied
        if new:
            positions[source] = new[-1]["pos"]
            cursor = ".".join([epoch, *(f"{name}{at}" for name, at in positions.items())])
            with self.database:
                self._keep(cursor, [event["message"] for event in new if "message" in event])
        return new

    def _keep(self, cursor: str, messages: list[dict]) -> None:
        for message in messages:  # rule 2: an upsert by id, whatever the type of the event
            self.database.execute("REPLACE INTO messages VALUES (?, ?)", (message["id"], json.dumps(message)))
        self.database.execute("REPLACE INTO place VALUES (1, ?)", (cursor,))
        self.cursor = cursor


def parse(cursor: str) -> tuple[str, dict[str, int]]:
    """The epoch, and the highest position applied of each source."""
    epoch, _, places = cursor.partition(".")
    return epoch, {name: int(at) for name, at in re.findall(r"([a-z]+)(\d+)", places)}


async def live(socket: ClientConnection, phone: Phone, url: str, token: str) -> None:
    """One connection, until it ends."""
    hello = {"token": token, "device": {"id": "example", "platform": "cli"}}
    await socket.send(json.dumps({"id": 1, "connect": hello | ({"cursor": phone.cursor} if phone.cursor else {})}))
    answer = json.loads(await socket.recv())
    if "error" in answer:
        sys.exit(f"refused: {answer['error']['code']}: {answer['error']['message']}")
    if not answer["connect"]["recovered"]:
        return phone.begin(*await asyncio.to_thread(reload, url, token))  # and connect again, with that cursor
    if phone.cursor is None:
        phone.begin(answer["connect"]["cursor"], [])
    await socket.send(json.dumps({"ack": parse(phone.cursor)[1]}))  # the last connection may have lost one
    while True:
        async with asyncio.timeout(PATIENCE):
            frame = json.loads(await socket.recv())
        if "ping" in frame:
            await socket.send('{"pong":{}}')
        if "events" in frame:
            for event in phone.apply(frame["source"], frame["events"]):
                print(frame["source"], event["pos"], event["type"], event.get("message", {}).get("content"), flush=True)
            await socket.send(json.dumps({"ack": {frame["source"]: frame["events"][-1]["pos"]}}))  # rule 3: afterwards
        if "disconnect" in frame:
            await asyncio.sleep(frame["disconnect"]["after_ms"] / 1000)  # it says when to come back


def reload(url: str, token: str) -> tuple[str, list[dict]]:
    """Where to go on from, and the last message of each conversation; older ones are read when they are looked at."""
    asked = urllib.request.Request(f"{url}/v1/conversations", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        page = json.load(answer)
    return page["cursor"], [row["last_message"] for row in page["items"] if row["last_message"]]


async def stay(url: str, token: str, path: str) -> None:
    """Connection after connection, until the server says not to come back."""
    phone, attempt, socket_url = Phone(path), 0, f"ws{url.removeprefix('http')}/v1/connect"
    while True:
        try:
            async with connect(socket_url, subprotocols=["aldis.v1"], compression=None, ping_interval=None) as socket:
                attempt = 0
                await live(socket, phone, url, token)
        except ConnectionClosed as closed:
            if closed.rcvd is not None and 4400 <= closed.rcvd.code < 4500:  # noqa: PLR2004 - docs/contract.md
                sys.exit(f"not wanted: {closed.rcvd.code} {closed.rcvd.reason}")
        except (OSError, InvalidHandshake, TimeoutError):
            pass  # nobody is there, or not yet
        await asyncio.sleep(random.uniform(0, min(30, 0.5 * 2**attempt)))  # full jitter: not all at the same moment
        attempt += 1


if __name__ == "__main__":
    asyncio.run(stay(*sys.argv[1:4]))
