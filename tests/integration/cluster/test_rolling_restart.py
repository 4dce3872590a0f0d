"""A rolling restart under load: gateways leave one after the other, as a Deployment's pods do."""

import asyncio
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from aldis.telemetry.tasks import cancel_and_wait, spawn
from clustered import Servers, clustered
from integration.cluster.stored import check_database
from integration.promise.crowd import Chatter, Crowd, Notifier, gathered, open_channel, stop, wait_delivered, wait_until
from integration.promise.ledger import Ledger

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]
DRAIN_SECONDS = 4.0
PRE_STOP_SECONDS = 1.5  # the proxy asks twice a second, and believes the second refusal
CHATS_A_SECOND = 200.0
NOTES_A_SECOND = 20.0


async def test_a_rolling_restart_loses_no_message_and_spreads_the_reconnects(
    tmp_path: Path, cluster_servers: Servers
) -> None:
    """Each send is answered in the end, once, and reaches every device; sockets come back over the drain's time."""
    chance, ledger = random.Random(1), Ledger()
    async with clustered(
        cluster_servers,
        tmp_path,
        open_throttle=True,
        ALDIS_DRAIN_SECONDS=str(DRAIN_SECONDS),
        ALDIS_PRE_STOP_SECONDS=str(PRE_STOP_SECONDS),
    ) as cluster:
        key = await open_channel(cluster, tmp_path)
        async with gathered(cluster, ledger, users=30, clients=2, bare=2, bare_senders=1) as crowd:
            chatter = Chatter(crowd, ledger, chance, CHATS_A_SECOND, window=8)
            notifier = Notifier(cluster, key, crowd, ledger, chance, NOTES_A_SECOND)
            loads = [spawn(load.run(), "load") for load in (chatter, notifier)]
            curve = Counter[int]()
            noting = spawn(note_reconnects(crowd, curve), "noting")
            await wait_until(lambda: len(ledger.answers) > 300, "traffic flows")
            for process in cluster.processes:
                await asyncio.to_thread(process.stop)
                await asyncio.to_thread(process.start)
                answered = len(ledger.answers)
                await wait_until(lambda goal=answered + 200: len(ledger.answers) > goal, "traffic flows")  # type: ignore[misc]
            stop([chatter, notifier])
            await asyncio.gather(*loads)
            await cancel_and_wait(noting)
            try:
                await wait_delivered(ledger, crowd)
            finally:
                told = " ".join(str(curve[half]) for half in range(max(curve, default=0) + 1))
                print(f"\nrolling restart: {ledger.line()}")
                print(f"reconnects in each half second: {told}")
        ledger.check()
        crowd.check_clients(ledger)
        check_database(cluster_servers, cluster, ledger)
        devices = len(crowd.devices)
        assert "Traceback" not in cluster.said()
        assert sum(curve.values()) >= devices, "all were on one of the gateways that left"
        assert max(curve.values()) < devices / 3, "they came back at once"


async def note_reconnects(crowd: Crowd, curve: Counter[int]) -> None:
    """Count how many devices connect in each half second."""
    started, before = time.monotonic(), connects(crowd)
    while True:
        await asyncio.sleep(0.05)
        now = connects(crowd)
        curve[int((time.monotonic() - started) * 2)] += now - before
        before = now


def connects(crowd: Crowd) -> int:
    """How often all devices have connected."""
    return sum(device.witness.connects for device in crowd.devices)
