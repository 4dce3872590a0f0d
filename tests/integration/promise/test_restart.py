"""SIGTERM: the server lets its sockets go over a while, and what is under way is answered or sent again."""

import asyncio
import random
import sys
import time
from asyncio.subprocess import PIPE
from http import HTTPStatus
from pathlib import Path

import pytest

from aldis.telemetry.tasks import spawn
from integration.promise.bare_device import BareDevice
from integration.promise.crowd import (
    Chatter,
    Crowd,
    Notifier,
    gathered,
    open_channel,
    stop,
    wait_delivered,
    wait_until,
)
from integration.promise.ledger import Ledger, check_stored
from served import Server, served

pytestmark = pytest.mark.timeout(120)
SHUTDOWN = 4001
DRAIN_SECONDS = 2.0


def bare_devices(crowd: Crowd) -> list[BareDevice]:
    return [device for device in crowd.devices if isinstance(device, BareDevice)]


async def watch_goodbyes(devices: list[BareDevice], server: Server) -> list[float]:
    """When each device was sent away, in seconds from now, until the server has ended."""
    started, told = time.monotonic(), dict[int, float]()
    while server.is_running:
        for number, device in enumerate(devices):
            if device.goodbyes:
                told.setdefault(number, time.monotonic() - started)
        await asyncio.sleep(0.01)
    return sorted(told.values())


async def test_sockets_are_sent_away_one_after_the_other(tmp_path: Path) -> None:
    """SIGTERM tells each socket 4001 and to come back, spread over the drain time; `/readyz` fails meanwhile."""
    ledger = Ledger()
    async with (
        served(tmp_path, ALDIS_DRAIN_SECONDS=str(DRAIN_SECONDS)) as server,
        gathered(server, ledger, users=20, clients=0, bare=2, bare_senders=0) as crowd,
    ):
        devices = bare_devices(crowd)

        server.terminate_nowait()
        watching = asyncio.gather(watch_goodbyes(devices, server))
        await wait_until(lambda: any(device.goodbyes for device in devices), "the first is sent away")
        ready, live = await server.status("/readyz"), await server.status("/livez")
        [times] = await watching
        exit_code = await server.wait_ended()

    goodbyes = [device.goodbyes[0] for device in devices]
    assert (ready, live, exit_code) == (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.OK, 0)
    assert {(goodbye.code, goodbye.reason, goodbye.reconnect) for goodbye in goodbyes} == {(SHUTDOWN, "shutdown", True)}
    assert {device.codes[0] for device in devices} == {SHUTDOWN}
    assert len({goodbye.after_ms for goodbye in goodbyes}) > len(devices) // 2, "all were told to come back at once"
    middle = [at for at in times if 0.25 * DRAIN_SECONDS < at < 0.75 * DRAIN_SECONDS]
    assert len(devices) // 4 < len(middle) < 3 * len(devices) // 4, f"not spread over the time: {times}"


async def test_a_restart_under_load_loses_nothing(tmp_path: Path) -> None:
    """SIGTERM in the middle of traffic: each send is answered in the end, once, and reaches every device."""
    chance = random.Random(1)
    ledger = Ledger()
    async with served(tmp_path, open_throttle=True, ALDIS_DRAIN_SECONDS="1") as server:
        key = await open_channel(server, tmp_path)
        async with gathered(server, ledger, users=20, clients=2, bare=2, bare_senders=1) as crowd:
            chatter = Chatter(crowd, ledger, chance, 500, window=8)
            notifier = Notifier(server, key, crowd, ledger, chance, rate=25)
            loads = [spawn(load.run(), "load") for load in (chatter, notifier)]
            for goal in (500, 1000):
                await wait_until(lambda goal=goal: len(ledger.answers) > goal, "traffic flows")  # type: ignore[misc]
                assert await server.terminate() == 0
                await server.start()
            await wait_until(lambda: len(ledger.answers) > 1500, "traffic flows again")
            stop([chatter, notifier])
            await asyncio.gather(*loads)
            try:
                await wait_delivered(ledger, crowd)
            finally:
                print(f"\nrestart: {ledger.line()}")
        assert await server.terminate() == 0
    ledger.check()
    crowd.check_clients(ledger)
    check_stored(server.data_dir / "aldis.db", ledger)
    assert "Traceback" not in server.said()


async def test_a_data_folder_is_served_by_one_process(tmp_path: Path) -> None:
    """A second server on the same folder ends with 1 and a clear line, and leaves the first alone."""
    async with served(tmp_path) as server:
        second = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "aldis", "serve", "--port", "0", "--data-dir", str(server.data_dir), stderr=PIPE
        )
        async with asyncio.timeout(30):
            _, said = await second.communicate()

        assert second.returncode == 1
        assert str(server.data_dir) in said.decode()
        assert "Traceback" not in said.decode()
        assert await server.status("/readyz") == HTTPStatus.OK
