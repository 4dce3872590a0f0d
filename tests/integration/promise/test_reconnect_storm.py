"""Everybody comes back at once, after a crash, with messages waiting."""

import asyncio
import resource
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from aldis.telemetry.tasks import cancel_and_wait, spawn
from integration.promise.bare_device import BareDevice
from integration.promise.crowd import CHANNEL, open_channel, wait_until
from integration.promise.ledger import Ledger
from served import Server, served

pytestmark = pytest.mark.timeout(120)
CLIENTS = 1000
PRIORITIES = ("normal", "normal", "urgent", "normal", "urgent")  # of the messages that wait
HANDSHAKES = 100  # at once


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """Let this process and the server have a socket for each client."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@asynccontextmanager
async def connected(devices: list[BareDevice]) -> AsyncGenerator[None]:
    """Connect all, some handshakes at a time; disconnect at the end."""
    waiting, tasks = iter(devices), []

    async def work() -> None:
        for device in waiting:  # shared: each worker takes the next
            device.is_up.clear()
            tasks.append(spawn(device.run(), device.name))
            await device.is_up.wait()

    try:
        async with asyncio.timeout(60):
            await asyncio.gather(*(work() for _ in range(HANDSHAKES)))
        yield
    finally:
        await cancel_and_wait(*tasks)


async def notify_all(server: Server, key: str, ledger: Ledger, users: list[str]) -> None:
    """Send each of the messages to everybody in one call."""
    headers = {"authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(base_url=server.url, headers=headers, trust_env=False, timeout=30) as http:
        for number, priority in enumerate(PRIORITIES):
            body = {
                "to": {"users": users},
                "kind": "notification",
                "channel": CHANNEL,
                "content": {"type": "text", "text": f"storm {number}"},
                "priority": priority,
                "client_id": f"storm-{number}",
            }
            response = await http.post("/v1/messages", json=body)
            assert response.status_code == httpx2.codes.CREATED, response.text
            for place in response.json()["messages"]:
                client_id = f"storm-{number}:{place['recipient']}"
                ledger.sending(client_id, place["recipient"])
                ledger.answered(client_id, place["message_id"], place["conversation_id"], place["seq"])


async def test_a_thousand_clients_come_back_at_once(tmp_path: Path) -> None:
    """After a crash all resume, get what waited, and get none of it twice."""
    ledger = Ledger()
    users = [f"user-{number}" for number in range(CLIENTS)]
    async with served(tmp_path, open_throttle=True) as server:
        key = await open_channel(server, tmp_path)
        devices = [
            BareDevice(
                server.ws_url, server.token(user), ledger.witness(user, "d1"), ledger, keeps_cursor=index % 2 > 0
            )
            for index, user in enumerate(users)
        ]
        async with connected(devices):
            pass
        await notify_all(server, key, ledger, users)
        await server.kill()
        ledger.kills += 1
        await server.start()

        ledger.started = time.monotonic()
        async with connected(devices):
            all_back = time.monotonic() - ledger.started
            try:
                await wait_until(lambda: not ledger.count_missing(), "everybody has what waited")
            finally:
                print(
                    f"\nstorm: {ledger.line()} clients={CLIENTS} all_back={all_back:.1f}s rss={server.rss() >> 20}MiB"
                )

    ledger.check()
    assert Counter(len(device.witness.shown) for device in devices) == {len(PRIORITIES): CLIENTS}
    assert sum(device.witness.repeated for device in devices) == 0
