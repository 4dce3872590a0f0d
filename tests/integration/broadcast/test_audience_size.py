"""What a broadcast costs its sender: the same, whether ten hear it or a million."""

import sqlite3
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from aldis.adapters.memory.clock import START_MS
from aldis.domain.callers import BackendCaller, Scope
from aldis.domain.channels import Channel, ChannelType
from aldis.domain.content import text_content
from aldis.domain.messages import SendMessage
from aldis.services.compose import Draft, compose
from integration.core.running_core import Core, open_core

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]
AUDIENCES = {"small": 10, "vast": 1_000_000}
SENDS = 100  # into each, in turns, so that what the machine does meanwhile falls on both
SUBSCRIBE = (
    "INSERT INTO subscriptions (user_id, channel, since, changed, from_be, from_bs, subscribed_at)"
    " WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :size)"
    " SELECT 'user-' || n, :channel, :base + n, :base + n, 0, 0, 0 FROM numbers"
)


async def test_a_broadcast_to_a_million_writes_no_more_rows_than_one_to_ten(tmp_path: Path) -> None:
    """Nothing is written for a listener when a broadcast is sent; the times stand beside the rows."""
    file = tmp_path / "aldis.db"
    async with open_core(f"sqlite:///{file}") as core:
        fill(file)
        written: dict[str, Counter[str]] = {}
        for channel in AUDIENCES:
            await core.store_all(await broadcast(channel))  # makes the channel's conversation
            before = count_rows(file)
            await core.store_all(await broadcast(channel))
            written[channel] = count_rows(file) - before
        times = await measure(core)

    for channel, size in AUDIENCES.items():
        rows = dict(sorted(written[channel].items()))
        median, slow = statistics.median(times[channel]), statistics.quantiles(times[channel], n=10)[8]
        print(f"audience of {size}: rows {rows}, median {median:.2f} ms, p90 {slow:.2f} ms")
    assert written["vast"] == written["small"]
    assert written["vast"].total() <= 3  # the message, its place in the source, its event for others


async def measure(core: Core) -> dict[str, list[float]]:
    """Milliseconds of each send."""
    times: dict[str, list[float]] = {channel: [] for channel in AUDIENCES}
    for _ in range(SENDS):
        for channel in AUDIENCES:
            command = await broadcast(channel)
            started = time.perf_counter()
            await core.store_all(command)
            times[channel].append((time.perf_counter() - started) * 1000)
    return times


async def broadcast(channel: str) -> SendMessage:
    """A broadcast as a backend's call composes it."""
    draft = Draft(content=text_content("on air"), to_channel=channel)
    caller = BackendCaller("station", "k1", scopes=frozenset({Scope.SEND}))
    (command,) = await compose(draft, caller, store_channel=declared, now_ms=START_MS)
    return command


async def declared(name: str) -> Channel:
    """Any broadcast channel."""
    return Channel(name=name, type=ChannelType.BROADCAST)


def fill(file: Path) -> None:
    """Subscribe as many users as each audience has."""
    with closing(sqlite3.connect(file)) as database, database:
        base = 0
        for channel, size in AUDIENCES.items():
            database.execute(SUBSCRIBE, {"size": size, "channel": channel, "base": base})
            base += size


def count_rows(file: Path, but: Sequence[str] = ("subscriptions",)) -> Counter[str]:
    """Rows by table. That no subscription is written is seen by the highest number of a change."""
    with closing(sqlite3.connect(file)) as database:
        names = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        tables = [name for (name,) in names if name not in but]
        counts = {
            table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - names of tables
            for table in tables
        }
        counts["subscriptions"] = database.execute("SELECT max(changed) FROM subscriptions").fetchone()[0]
    return Counter(counts)
