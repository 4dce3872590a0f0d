"""Broadcasts by many backends to many listeners, while a part of the sockets is always being lost."""

import asyncio
import random
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from aldis.telemetry.tasks import cancel_and_wait, spawn
from integration.broadcast.ears import Ear, Station, listening, on_air
from integration.promise.crowd import wait_until
from served import served

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]
LISTENERS = 1_000
BACKENDS = 50
BROADCASTS_EACH = 4
PAUSE_SECONDS = 1.0  # the most between two broadcasts of one backend
FLAPPING = LISTENERS // 10  # sockets lost in each round
ROUND_SECONDS = 0.5
SUBSCRIBING_AT_ONCE = 25


async def test_each_listener_hears_each_broadcast_once_and_in_order_while_sockets_flap(tmp_path: Path) -> None:
    """What 50 backends send reaches 1,000 listeners once, in one order, though a tenth of them is always away."""
    seed = time.time_ns() % 1_000_000
    chance = random.Random(seed)
    sent: list[tuple[str, int, str]] = []
    async with served(tmp_path, open_throttle=True) as server, on_air(server, ("news", {})) as station:
        ears = [Ear(server, f"user-{number}") for number in range(LISTENERS)]
        await subscribe_all(station, [ear.user for ear in ears])
        backends = await make_backends(station, await server.key("root", "--admin"))
        async with listening(ears):
            flapping = spawn(keep_flapping(ears, chance), "flapping")
            try:
                await asyncio.gather(*(talk(station, backend, chance, sent) for backend in backends))
            finally:
                await cancel_and_wait(flapping)
            wanted = in_order(sent)
            await wait_until(lambda: all(heard(ear) == wanted for ear in ears), "all hear all", seconds=60)

    line = (
        f"flapping: sent={len(sent)} listeners={LISTENERS} heard={sum(len(ear.ids) for ear in ears)}"
        f" repeated={sum(ear.repeated for ear in ears)} reconnects={sum(ear.connects - 1 for ear in ears)}"
        f" faults={sum(len(ear.faults) for ear in ears)} seed={seed}"
    )
    print(f"\n{line}")
    assert not [fault for ear in ears for fault in ear.faults][:5]
    assert len(sent) == BACKENDS * BROADCASTS_EACH
    assert sum(ear.connects - 1 for ear in ears) > FLAPPING


async def subscribe_all(station: Station, users: Sequence[str]) -> None:
    """Have each of them hear the channel, some at a time."""
    turns = asyncio.Semaphore(SUBSCRIBING_AT_ONCE)

    async def subscribe(user: str) -> None:
        async with turns:
            await station.subscribe(user, "news")

    await asyncio.gather(*(subscribe(user) for user in users))


async def make_backends(station: Station, admin: str) -> list[dict[str, str]]:
    """The headers of each backend, which has a key of its own."""
    headers = []
    for number in range(BACKENDS):
        body = {"name": f"backend-{number}", "scopes": ["send"], "channels": ["news"]}
        made = await station.http.post("/v1/admin/keys", json=body, headers={"authorization": f"Bearer {admin}"})
        assert made.status_code == 201, made.text
        headers.append({"authorization": f"Bearer {made.json()['key']}"})
    return headers


async def talk(
    station: Station, headers: dict[str, str], chance: random.Random, sent: list[tuple[str, int, str]]
) -> None:
    """Broadcast a few times, a part of it urgent; note what was answered as (source, seq, message)."""
    for _ in range(BROADCASTS_EACH):
        await asyncio.sleep(chance.uniform(0, PAUSE_SECONDS))
        priority = chance.choice(["urgent", "normal", "low"])
        body = {"to": {"channel": "news"}, "priority": priority, "content": {"type": "text", "text": "on air"}}
        response = await station.http.post("/v1/messages", json=body, headers=headers)
        assert response.status_code == 201, response.text
        answer = response.json()
        sent.append(("be" if priority == "urgent" else "bs", answer["seq"], answer["message_id"]))


async def keep_flapping(ears: Sequence[Ear], chance: random.Random) -> None:
    """Lose a tenth of the sockets, again and again; they come back by themselves."""
    while True:
        for ear in chance.sample(ears, FLAPPING):
            ear.flap()
        await asyncio.sleep(ROUND_SECONDS)


def in_order(sent: Sequence[tuple[str, int, str]]) -> dict[str, list[str]]:
    """The broadcasts of each source in the order of their commits."""
    return {
        source: [message for of, _, message in sorted(sent, key=lambda told: told[1]) if of == source]
        for source in ("be", "bs")
    }


def heard(ear: Ear) -> dict[str, list[str]]:
    """What an ear has heard, by source."""
    return {source: [message for _, message in ear.heard[source]] for source in ("be", "bs")}
