"""The promise under `kill -9`: what was answered is never lost, doubled or out of order."""

import asyncio
import random
import time
from pathlib import Path

import pytest

from aldis.telemetry.tasks import spawn
from integration.promise.crowd import Chatter, Notifier, gathered, open_channel, stop, wait_delivered
from integration.promise.ledger import Ledger, check_stored
from served import served

pytestmark = pytest.mark.timeout(240)
KILLS = 20
LONGEST_LIFE = 1.4  # seconds from readiness to the next kill
CHATS_A_SECOND = 475.0
NOTES_A_SECOND = 25.0


async def test_what_was_answered_survives_twenty_kills(tmp_path: Path) -> None:
    """Every answered message reaches every device once and in order, however often the server is killed."""
    seed = time.time_ns() % 1_000_000
    chance = random.Random(seed)
    ledger = Ledger()
    async with served(tmp_path, open_throttle=True) as server:
        key = await open_channel(server, tmp_path)
        async with gathered(server, ledger, users=40, clients=2, bare=2, bare_senders=1) as crowd:
            chatter = Chatter(crowd, ledger, chance, CHATS_A_SECOND, window=8)
            notifier = Notifier(server, key, crowd, ledger, chance, NOTES_A_SECOND)
            loads = [spawn(load.run(), "load") for load in (chatter, notifier)]
            for _ in range(KILLS):
                await asyncio.sleep(chance.uniform(0, LONGEST_LIFE))  # the moment is what is tested, not waited for
                await server.kill()
                ledger.kills += 1
                await server.start()
            stop([chatter, notifier])
            await asyncio.gather(*loads)
            try:
                await wait_delivered(ledger, crowd)
            finally:
                print(f"\nkill: {ledger.line()} seed={seed}")
        await server.terminate()
    ledger.check()
    crowd.check_clients(ledger)
    check_stored(server.data_dir / "aldis.db", ledger)
