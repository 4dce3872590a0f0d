"""Users of an identity provider on the real server: its keys by JWKS, through rotation and outage."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from integration.gateway.sockets import Client, chat, connected, new_name, open_socket, problem, rest
from issuer import ALGORITHMS, Issuer, Mood, issuing, key_set, kind_of, public_jwk, signed
from served import Server, served

pytestmark = pytest.mark.slow
KINDS = ("RSA", "P-256", "P-384", "Ed25519")
OLD, NEW = public_jwk("P-256", "old"), public_jwk("P-256", "new", 1)
TTL = 10  # seconds, the shortest there is


@asynccontextmanager
async def world(folder: Path, *jwks: dict[str, Any], **env: str) -> AsyncIterator[tuple[Server, Issuer]]:
    """A server and its issuer."""
    async with issuing(key_set(*jwks)) as issuer:
        settings = {"ALDIS_JWT__JWKS_URL": issuer.url, "ALDIS_JWT__JWKS_TTL_SECONDS": str(TTL), **env}
        async with served(folder, open_throttle=True, **settings) as server:
            yield server, issuer


def token(kid: str, **claims: Any) -> str:
    return signed("ES256", kid, number=1 if kid == "new" else 0, **claims)


async def status(server: Server, credential: str) -> int:
    async with rest(server, credential) as http:
        return (await http.get("/v1/badge")).status_code


async def counted(server: Server, line: str) -> float:
    async with httpx2.AsyncClient(trust_env=False) as http:
        text = (await http.get(f"{server.url}/metrics")).text
    return next((float(each.split()[-1]) for each in text.splitlines() if each.startswith(line)), 0.0)


async def test_every_algorithm_opens_socket_and_rest(tmp_path: Path) -> None:
    """RS, PS, ES and EdDSA beside the data folder's own secret; forged ones open neither."""
    async with world(tmp_path, *[public_jwk(kind, kind) for kind in KINDS]) as (server, _):
        for algorithm in ALGORITHMS:
            user = new_name("user")
            good = signed(algorithm, kind_of(algorithm), sub=user)
            async with connected(server, user, token=good):
                assert await status(server, good) == 200
            forged = signed(algorithm, kind_of(algorithm), number=2, sub=user)
            assert await status(server, forged) == 401
            async with open_socket(server) as client:
                assert "error" in await client.ask(connect={"token": forged})
                assert (await client.ended())[0] == 4401
        assert await status(server, server.token("bob")) == 200


async def test_a_new_key_is_found_while_the_old_one_works(tmp_path: Path) -> None:
    """Rotation: the first who bring the new key wait for one fetch, by socket and by REST at once."""
    async with world(tmp_path, OLD) as (server, issuer):
        issuer.document = key_set(OLD, NEW)
        before = issuer.asked

        async def come_in(number: int) -> bool:
            user = f"user-{number}"
            async with connected(server, user, token=token("new", sub=user)) as client:
                return "send" in await client.ask(send=chat("bob"))

        sockets = [come_in(number) for number in range(40)]
        calls = [status(server, token("new")) for _ in range(10)]
        done = await asyncio.gather(*sockets, *calls, status(server, token("old")))

        assert done == [True] * 40 + [200] * 11
        assert issuer.asked - before <= 2  # one for the new key, and perhaps one that was due


async def test_frames_behind_a_key_that_is_fetched_keep_their_order(tmp_path: Path) -> None:
    """A refresh that waits for the issuer holds back what comes behind it, and nothing else; no frame is lost."""
    async with (
        world(tmp_path, OLD) as (server, issuer),
        connected(server, "alice", token=token("old")) as client,
        connected(server, "carol") as other,
    ):
        issuer.document, issuer.mood, before = key_set(OLD, NEW), "hangs", issuer.asked
        frames = [{"id": 1, "refresh": {"token": token("new")}}]
        frames += [{"id": number, "send": chat("bob", str(number))} for number in range(2, 60)]
        for frame in frames:
            await client.say(frame)
        await issuer.wait_asked(before + 1)
        assert "send" in await other.ask(send=chat("bob"))  # nobody else waits

        issuer.mood = "well"
        replies = [frame for frame in await hear(client, 59) if "id" in frame]

        assert [reply["id"] for reply in replies] == list(range(1, 60))
        assert "refresh" in replies[0]
        assert [reply["send"]["seq"] for reply in replies[1:]] == list(range(1, 59))


async def hear(client: Client, replies: int) -> list[dict[str, Any]]:
    """Frames until so many replies have come."""
    frames: list[dict[str, Any]] = []
    while sum("id" in frame for frame in frames) < replies:
        frames.append(await client.hear())
    return frames


async def test_a_connect_that_waits_is_answered_and_what_follows_too(tmp_path: Path) -> None:
    """The first frame's key has to be fetched: a ping behind it is answered as it is behind any other connect."""
    async with world(tmp_path, OLD) as (server, issuer), open_socket(server) as client:
        issuer.document, issuer.mood, before = key_set(OLD, NEW), "hangs", issuer.asked
        await client.say({"id": 1, "connect": {"token": token("new")}})
        await client.say({"id": 2, "pong": {}})
        await issuer.wait_asked(before + 1)
        issuer.mood = "well"

        assert "connect" in await client.hear()
        assert "send" in await client.ask(send=chat("bob"))


@pytest.mark.parametrize("mood", ["dead", "hangs", "garbage"])
async def test_known_keys_go_on_working_when_the_issuer_does_not(tmp_path: Path, mood: Mood) -> None:
    """JWKS down, for longer than the keys' lifetime: known keys work, unknown ones are to come back, all is told."""
    async with world(tmp_path, OLD) as (server, issuer):
        issuer.mood, before = mood, issuer.asked
        await issuer.wait_asked(before + 2)  # it was due, failed, and was tried again
        await wait_failed(server, 1)

        assert await status(server, token("old")) == 200
        async with connected(server, "alice", token=token("old")) as client:
            assert "refresh" in await client.ask(refresh={"token": token("old")})
            assert (await client.refused(refresh={"token": token("new")}))[0] == "unavailable"
            assert "send" in await client.ask(send=chat("bob"))
        async with rest(server, token("new")) as http:
            answer = await http.get("/v1/badge")
            assert problem(answer) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) >= 1
            ready = await http.get("/readyz")
        async with open_socket(server) as client:
            await client.ask(connect={"token": token("new")})
            assert (await client.ended())[0] == 4005
        assert ready.status_code == 200
        assert ready.json()["dependencies"]["jwks"]["seconds_since_success"] > 0
        assert await counted(server, "aldis_jwks_keys") == 1
        assert "jwks_unavailable" in server.said()

        issuer.document, issuer.mood = key_set(NEW), "well"
        async with asyncio.timeout(30):
            while await status(server, token("new")) != 200:
                await asyncio.sleep(0.1)
        assert await status(server, token("old")) == 401


async def wait_failed(server: Server, times: int) -> None:
    """Wait until so many fetches have failed."""
    async with asyncio.timeout(30):
        while await counted(server, 'aldis_jwks_fetches_total{outcome="failed"}') < times:
            await asyncio.sleep(0.05)


async def test_a_removed_key_ends_within_the_lifetime(tmp_path: Path) -> None:
    """What the issuer takes back opens nothing any more; an open socket goes on until its token ends."""
    async with (
        world(tmp_path, OLD, NEW) as (server, issuer),
        connected(server, "alice", token=token("old")) as client,
    ):
        issuer.document, before = key_set(NEW), issuer.asked
        await issuer.wait_asked(before + 1)
        async with asyncio.timeout(TTL):
            while await status(server, token("old")) != 401:
                await asyncio.sleep(0.05)

        assert await status(server, token("new")) == 200
        assert "send" in await client.ask(send=chat("bob"))


async def test_a_server_starts_without_its_issuer(tmp_path: Path) -> None:
    """Backends and our own tokens are served; the issuer's are as soon as it is there."""
    async with issuing(key_set(OLD)) as issuer:
        issuer.mood = "dead"
        async with served(tmp_path, open_throttle=True, ALDIS_JWT__JWKS_URL=issuer.url) as server:
            assert await status(server, server.token("bob")) == 200
            assert await status(server, token("old")) == 503
            issuer.mood = "well"
            async with asyncio.timeout(30):
                while await status(server, token("old")) != 200:
                    await asyncio.sleep(0.05)


async def test_secrets_are_rotated(tmp_path: Path) -> None:
    """Tokens of the secret before still count, until it is left out."""
    first, second = "first-" + "x" * 40, "second-" + "y" * 40
    async with served(tmp_path, ALDIS_JWT__SECRET=first) as server:
        old = (await server.aldis("token", "alice")).strip()
        assert await status(server, old) == 200
    async with served(tmp_path, ALDIS_JWT__SECRET=second, ALDIS_JWT__PREVIOUS_SECRETS=first) as server:
        assert await status(server, old) == 200
        assert await status(server, (await server.aldis("token", "alice")).strip()) == 200
    async with served(tmp_path, ALDIS_JWT__SECRET=second) as server:
        assert await status(server, old) == 401


async def test_nothing_of_a_token_or_key_is_logged(tmp_path: Path) -> None:
    """Whatever went wrong with it."""
    async with world(tmp_path, OLD) as (server, _):
        credentials = [token("old"), token("new"), token("old", exp=1), server.token("bob"), await server.key()]
        for credential in credentials:
            await status(server, credential)
            async with open_socket(server) as client:
                await client.ask(connect={"token": credential})
        said = server.said()

    for credential in credentials:
        assert credential not in said
        assert credential[-20:] not in said
    assert json.loads(key_set(OLD))["keys"][0]["x"] not in said
