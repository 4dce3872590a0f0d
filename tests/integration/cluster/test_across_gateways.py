"""What holds for a cluster as a whole, whichever gateway is asked."""

import asyncio
import time
from collections import Counter
from pathlib import Path

import httpx2
import pytest

from clustered import Cluster, Servers, clustered
from integration.gateway.sockets import Json, new_name, text
from integration.promise.crowd import open_channel

AT_ONCE = 100
RATE = 100  # messages a second
BURST = 50
SECONDS = 8.0
AT_A_TIME = 4  # requests of each gateway that are under way
TOLERANCE = 0.05


def clients(cluster: Cluster, credential: str) -> list[httpx2.AsyncClient]:
    """One for each gateway, past the proxy."""
    headers = {"authorization": f"Bearer {credential}"}
    return [
        httpx2.AsyncClient(base_url=gateway.url, headers=headers, trust_env=False, timeout=30)
        for gateway in cluster.gateways
    ]


@pytest.mark.parametrize("by", ["client_id", "Idempotency-Key"])
async def test_a_hundred_equal_requests_to_both_gateways_are_one_message(cluster: Cluster, by: str) -> None:
    """All are answered with the same message, all but one as a repeat, and one is stored."""
    ann, bob = new_name("ann"), new_name("bob")
    body: Json = {"to": {"user": bob}, "content": text("once")}
    headers = {"Idempotency-Key": "key"} if by == "Idempotency-Key" else {}
    body |= {"client_id": "c-1"} if by == "client_id" else {}
    one, other = clients(cluster, cluster.token(ann))
    async with one, other:
        answers = await asyncio.gather(
            *((one, other)[n % 2].post("/v1/messages", json=body, headers=headers) for n in range(AT_ONCE))
        )
        history = (await other.get("/v1/conversations")).json()["items"][0]

    assert Counter(answer.status_code for answer in answers) == {201: AT_ONCE}
    assert len({(a.json()["message_id"], a.json()["seq"], a.json()["created_at"]) for a in answers}) == 1
    assert Counter(a.json()["duplicate"] for a in answers) == {False: 1, True: AT_ONCE - 1}
    assert history["head_seq"] == 1


@pytest.mark.slow
async def test_a_limit_holds_over_both_gateways(tmp_path: Path, cluster_servers: Servers) -> None:
    """A key that sends to both as fast as it can gets what its rate and burst allow, within 5 %."""
    async with clustered(
        cluster_servers,
        tmp_path,
        ALDIS_LIMITS__KEY_MESSAGES_PER_SECOND=str(RATE),
        ALDIS_LIMITS__KEY_BURST=str(BURST),
    ) as cluster:
        key = await open_channel(cluster, tmp_path)
        told = Counter[int]()
        one, other = clients(cluster, key)
        async with one, other:
            started = time.monotonic()
            await asyncio.gather(*(insist(http, told, started) for http in (one, other) for _ in range(AT_A_TIME)))
            seconds = time.monotonic() - started
    allowed = BURST + RATE * seconds
    print(f"\nlimit over two gateways: allowed {allowed:.0f}, stored {told[201]}, refused {told[429]}")
    assert set(told) == {201, 429}
    assert told[201] == pytest.approx(allowed, rel=TOLERANCE)


async def insist(http: httpx2.AsyncClient, told: Counter[int], started: float) -> None:
    """Send one after the other, whatever is answered."""
    while time.monotonic() - started < SECONDS:
        body = {"to": {"user": "bob"}, "channel": "news", "content": text("again")}
        answer = await http.post("/v1/messages", json=body)
        told[answer.status_code] += 1
        if answer.status_code == httpx2.codes.TOO_MANY_REQUESTS:
            await asyncio.sleep(0.01)
