"""The promise across processes under `kill -9`: of either gateway, and of the worker."""

import asyncio
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from aldis.telemetry.tasks import spawn
from clustered import Servers, clustered
from integration.cluster.stored import check_database
from integration.promise.crowd import Chatter, Notifier, gathered, open_channel, stop, wait_delivered
from integration.promise.ledger import Ledger

pytestmark = [pytest.mark.timeout(420), pytest.mark.slow]
KILLS = 20
LONGEST_LIFE = 1.5  # seconds from when all is ready to the next kill
CHATS_A_SECOND = 280.0
NOTES_A_SECOND = 20.0


async def test_what_was_answered_survives_twenty_kills_of_any_process(tmp_path: Path, cluster_servers: Servers) -> None:
    """Every answered message reaches every device once and in order, whichever gateway or worker is killed."""
    seed = time.time_ns() % 1_000_000
    chance = random.Random(seed)
    ledger, killed = Ledger(), Counter[str]()
    async with clustered(cluster_servers, tmp_path, open_throttle=True) as cluster:
        key = await open_channel(cluster, tmp_path)
        async with gathered(cluster, ledger, users=30, clients=2, bare=2, bare_senders=1) as crowd:
            chatter = Chatter(crowd, ledger, chance, CHATS_A_SECOND, window=8)
            notifier = Notifier(cluster, key, crowd, ledger, chance, NOTES_A_SECOND)
            loads = [spawn(load.run(), "load") for load in (chatter, notifier)]
            for _ in range(KILLS):
                await asyncio.sleep(chance.uniform(0, LONGEST_LIFE))  # the moment is what is tested, not waited for
                victim = chance.choice(cluster.processes)
                await cluster.kill(victim)
                killed[victim.name] += 1
                ledger.kills += 1
                await cluster.start()
            stop([chatter, notifier])
            await asyncio.gather(*loads)
            try:
                await wait_delivered(ledger, crowd, seconds=60)
            finally:
                print(f"\ncluster kill: {ledger.line()} killed={dict(killed)} seed={seed}")
        ledger.check()
        crowd.check_clients(ledger)
        check_database(cluster_servers, cluster, ledger)
