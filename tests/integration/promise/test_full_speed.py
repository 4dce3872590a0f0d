"""The promise at the highest rate the machine takes."""

import asyncio
import random
import time
from pathlib import Path

import pytest

from aldis.telemetry.tasks import spawn
from integration.promise.crowd import Chatter, Notifier, gathered, open_channel, stop, wait_delivered
from integration.promise.ledger import Ledger, check_stored
from served import served

pytestmark = pytest.mark.timeout(120)
SECONDS = 10.0
IN_FLIGHT = 16  # of each sending device


async def test_nothing_is_lost_or_doubled_at_full_speed(tmp_path: Path) -> None:
    """With an open throttle, every answered message reaches every device once and in order."""
    seed = time.time_ns() % 1_000_000
    chance = random.Random(seed)
    ledger = Ledger()
    async with served(tmp_path, open_throttle=True) as server:
        key = await open_channel(server, tmp_path)
        async with gathered(server, ledger, users=20, clients=1, bare=3, bare_senders=2) as crowd:
            chatter = Chatter(crowd, ledger, chance, None, window=IN_FLIGHT)
            notifier = Notifier(server, key, crowd, ledger, chance, rate=50)
            loads = [spawn(load.run(), "load") for load in (chatter, notifier)]
            await asyncio.sleep(SECONDS)
            stop([chatter, notifier])
            await asyncio.gather(*loads)
            rate = len(ledger.answers) / (time.monotonic() - ledger.started)
            try:
                await wait_delivered(ledger, crowd)
            finally:
                print(f"\nfull speed: {ledger.line()} rate={rate:.0f}/s rss={server.rss() >> 20}MiB seed={seed}")
        await server.terminate()
    ledger.check()
    crowd.check_clients(ledger)
    check_stored(server.data_dir / "aldis.db", ledger)
