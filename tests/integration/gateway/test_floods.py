"""Who asks for too much, on the real server: refused in time, counted, and at nobody else's cost."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from aldis.telemetry.tasks import spawn
from integration.gateway.sockets import WAIT, Client, Json, chat, connected, new_name, open_socket, problem, rest, text
from served import Server, served

pytestmark = pytest.mark.slow
PROXY = {"ALDIS_TRUSTED_PROXIES": "127.0.0.0/8"}


def channel(name: str, **limits: int) -> str:
    spec: Json = {"type": "Notification", "limits": limits} if limits else {"type": "Notification"}
    return json.dumps({"apiVersion": "aldis.dev/v1alpha1", "kind": "Channel", "metadata": {"name": name}, "spec": spec})


@asynccontextmanager
async def behind(server: Server, address: str, credential: str = "") -> AsyncIterator[httpx2.AsyncClient]:
    """REST as it comes through a proxy from an address."""
    async with rest(server, credential or server.token("alice")) as http:
        http.headers["x-forwarded-for"] = address
        yield http


async def declare(server: Server, folder: Any, *documents: str) -> None:
    """Declare channels."""
    file = folder / "channels.json"
    for document in documents:
        file.write_text(document, encoding="utf-8")
        await server.aldis("channel", "apply", str(file))


async def test_a_flooding_key_is_refused_and_the_others_lose_nothing(tmp_path: Any) -> None:
    """One key at a hundred times its limit: all its excess is 429, each send of the others is stored and arrives."""
    limits = {"ALDIS_LIMITS__KEY_MESSAGES_PER_SECOND": "10", "ALDIS_LIMITS__KEY_BURST": "20"}
    async with served(tmp_path, open_throttle=False, **limits) as server, connected(server, "bob", "phone") as bob:
        await declare(server, tmp_path, channel("news"))
        flooder, *others = [await server.key(name) for name in ("flooder", "one", "two", "three")]
        flooding, answers = True, Counter[int]()

        async def flood() -> None:
            async with rest(server, flooder) as http:
                while flooding:
                    answer = await http.post("/v1/messages", json=note("victim", "news"))
                    answers[answer.status_code] += 1
                    check_limited(answer)

        async def send(key: str) -> list[str]:
            async with rest(server, key) as http:
                sent = [await http.post("/v1/messages", json=note("bob", "news")) for _ in range(20)]
            return [answer.json()["message_id"] for answer in sent if answer.status_code == 201]

        begun = asyncio.get_running_loop().time()
        floods = [spawn(flood(), "flood") for _ in range(8)]
        while answers[429] < 500:
            await asyncio.sleep(0.01)
        stored = [message for sent in await asyncio.gather(*map(send, others)) for message in sent]
        flooding = False
        await asyncio.gather(*floods)
        seconds = asyncio.get_running_loop().time() - begun

        received = [event["message"]["id"] for event in await bob.events("s", len(stored))]
        assert len(stored) == 60
        assert Counter(received) == Counter(stored)
        assert set(answers) == {201, 429}
        assert answers[201] <= 20 + 10 * seconds + 1
        print(f"stored {answers[201]} and refused {answers[429]} of the flood, 0 of the others' {len(stored)} lost")


def note(user: str, name: str) -> Json:
    return {"to": {"user": user}, "channel": name, "client_id": new_name("c"), "content": text()}


def check_limited(answer: httpx2.Response) -> None:
    """A refusal says when to come back, and what is left."""
    assert answer.headers["ratelimit-policy"].startswith('"key";q=20;w=2')
    if answer.status_code == 429:
        assert problem(answer) == (429, "rate_limited")
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.headers["ratelimit"].startswith('"key";r=0;t=')


async def test_a_channel_has_a_limit_of_its_own(tmp_path: Any) -> None:
    """`messagesPerSecond` holds for all backends together, names its field, and leaves other channels alone."""
    async with served(tmp_path, open_throttle=True, ALDIS_LIMITS__RECIPIENTS="3") as server:
        await declare(server, tmp_path, channel("slow", messagesPerSecond=1), channel("quick"))
        keys = [await server.key(name) for name in ("one", "two")]
        async with rest(server, keys[0]) as one, rest(server, keys[1]) as two:
            several = {**note("x", "slow"), "to": {"users": ["bob", "carol", "dave"]}}
            first = await one.post("/v1/messages", json=several)
            refused = await two.post("/v1/messages", json=several)
            elsewhere = await two.post("/v1/messages", json=note("bob", "quick"))

    assert first.status_code == 201
    assert first.headers["ratelimit"].endswith('"channel";r=0;t=3')
    assert first.headers["ratelimit-policy"].endswith('"channel";q=3;w=3')
    assert problem(refused) == (429, "rate_limited")
    assert refused.json()["field"] == "channel"
    assert int(refused.headers["retry-after"]) in {1, 2, 3}
    assert elsewhere.status_code == 201
    assert "channel" not in elsewhere.headers["ratelimit"]


async def test_who_sends_far_too_much_on_a_socket_is_sent_away(tmp_path: Any) -> None:
    """Refused again and again although a send is accepted now and then: 4004; somewhat too much is only refused."""
    limits = {"ALDIS_LIMITS__MESSAGES_PER_SECOND": "10", "ALDIS_LIMITS__BURST": "5"}
    async with served(tmp_path, open_throttle=False, **limits) as server:
        async with connected(server, "flooder") as client:
            answers = Counter[str]()
            with suppress(ConnectionClosed):
                for _ in range(500):
                    answers.update(await send_many(client, 100))
            code, said = await client.ended()
            assert code == 4004
            assert said is not None
            assert (said["code"], said["reconnect"]) == (4004, True)
            assert answers["rate_limited"] >= 800  # whole rounds; the last one was cut short
            assert answers["send"] >= 5
        async with connected(server, "eager") as client:
            assert set(await send_many(client, 15)) == {"send", "rate_limited"}
            assert "pong" in await client.ask(ping={})


async def send_many(client: Client, count: int) -> Counter[str]:
    """How so many sends at once are answered."""
    for number in range(count):
        await client.say({"id": number, "send": chat("bob")})
    answers = Counter[str]()
    while answers.total() < count:
        frame = await client.hear()
        client.news.append(frame)
        if "send" in frame:
            answers["send"] += 1
        elif "error" in frame:
            assert frame["error"]["retry_after_ms"] > 0
            answers[frame["error"]["code"]] += 1
    return answers


@pytest.fixture(scope="module")
async def limited(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A server behind a proxy, whose limits by address fill slowly and are soon reached."""
    limits = {
        "ALDIS_LIMITS__ADDRESS_REQUESTS_PER_SECOND": "0.01",
        "ALDIS_LIMITS__ADDRESS_REQUEST_BURST": "8",
        "ALDIS_LIMITS__ADDRESS_FAILURES_PER_SECOND": "0.01",
        "ALDIS_LIMITS__ADDRESS_FAILURE_BURST": "3",
        "ALDIS_LIMITS__ADDRESS_HANDSHAKES_PER_SECOND": "0.01",
        "ALDIS_LIMITS__ADDRESS_HANDSHAKE_BURST": "4",
        "ALDIS_LIMITS__CONNECTIONS_PER_ADDRESS": "2",
        "ALDIS_LIMITS__CONNECTIONS": "3",
    }
    folder = tmp_path_factory.mktemp("limited")
    async with served(folder, open_throttle=False, **PROXY | limits) as server:
        yield server


async def statuses(http: httpx2.AsyncClient, times: int) -> list[int]:
    return [(await http.get("/v1/badge")).status_code for _ in range(times)]


async def test_requests_of_an_address_are_limited(limited: Server) -> None:
    """The burst goes through, then 429 with `Retry-After`; another address, and another /64, is not touched."""
    async with behind(limited, "192.0.2.1") as http:
        assert await statuses(http, 9) == [200] * 8 + [429]
        refused = await http.get("/livez")
        http.headers["x-forwarded-for"] = "10.1.1.1, 192.0.2.1"  # the left part is the client's own invention
        assert await statuses(http, 1) == [429]
    assert problem(refused) == (429, "rate_limited")
    assert int(refused.headers["retry-after"]) > 1
    async with behind(limited, "192.0.2.2") as http:
        assert await statuses(http, 1) == [200]
    async with behind(limited, "2001:db8::1") as http:
        seen = await statuses(http, 8)
        http.headers["x-forwarded-for"] = "2001:db8::2"
        assert seen + await statuses(http, 1) == [200] * 8 + [429]
        http.headers["x-forwarded-for"] = "2001:db8:0:1::2"
        assert await statuses(http, 1) == [200]


async def test_wrong_credentials_are_limited_and_good_ones_go_on(limited: Server) -> None:
    """After three guesses the answer is 429; who has a good token at the same address is served."""
    guesses = ["nonsense", f"ak_{'0' * 16}_{'x' * 43}", limited.token("x")[:-3] + "AAA", f"ak_{'1' * 16}_{'x' * 43}"]
    answers = []
    for guess in guesses:
        async with behind(limited, "192.0.2.3", guess) as http:
            answers.append(await http.get("/v1/badge"))

    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert int(answers[-1].headers["retry-after"]) > 1
    async with behind(limited, "192.0.2.3") as http:
        assert await statuses(http, 1) == [200]


async def shake(server: Server, address: str) -> tuple[int, int | None]:
    """The status of a handshake that is refused, and when to come back."""
    with pytest.raises(InvalidStatus) as refused:
        async with open_socket(server, additional_headers={"x-forwarded-for": address}):
            pass
    after = refused.value.response.headers.get("retry-after")
    return refused.value.response.status_code, int(after) if after is not None else None


@asynccontextmanager
async def sockets(server: Server, addresses: Sequence[str]) -> AsyncIterator[None]:
    """Open sockets from these addresses, one after the other."""
    if not addresses:
        yield
        return
    async with (
        open_socket(server, additional_headers={"x-forwarded-for": addresses[0]}),
        sockets(server, addresses[1:]),
    ):
        yield


async def test_sockets_are_limited_by_address_and_in_all(limited: Server) -> None:
    """Too many at one address are 429, a full process is 503, too many handshakes 429; each says when to come back."""
    async with sockets(limited, ["192.0.2.5", "192.0.2.5"]):
        assert await shake(limited, "192.0.2.5") == (429, 30)
        async with sockets(limited, ["192.0.2.6"]):
            status, after = await shake(limited, "192.0.2.7")
            assert status == 503
            assert after in range(5, 15)
    await wait_room(limited)
    async with sockets(limited, ["192.0.2.5"]):
        pass
    status, after = await shake(limited, "192.0.2.5")
    assert status == 429
    assert after is not None
    assert after > 30
    async with rest(limited, limited.token("x")) as http:
        http.headers["x-forwarded-for"] = "192.0.2.9"
        counted = (await http.get("/metrics")).text
    for limit in ("handshake", "connections"):
        assert f'aldis_address_limited_total{{limit="{limit}"}}' in counted


async def wait_room(server: Server) -> None:
    """Wait until the server has seen that the sockets are gone; each look is from another address."""
    async with asyncio.timeout(WAIT):
        for number in range(250):
            try:
                async with sockets(server, [f"198.51.100.{number}", f"198.51.100.{number}", "203.0.113.1"]):
                    return
            except InvalidStatus:
                await asyncio.sleep(0.05)
