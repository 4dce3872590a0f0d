"""The way to Redis: accounts, TLS, bounds, and what is said about it."""

import asyncio
import datetime as dt
import ipaddress
import re
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from structlog.typing import EventDict

from aldis.adapters.redis.cache import RedisCache
from aldis.adapters.redis.link import CONNECTIONS, open_redis
from aldis.adapters.redis.token_bank import RedisTokenBank
from aldis.domain.errors import Unavailable
from aldis.ports.limiter import Rate
from aldis.telemetry.metrics import Metrics
from aldis.telemetry.tasks import spawn
from integration.redis.processes import ANNA, Ears, build_batch, open_process, wait_until
from servers.guard import Guard
from servers.ports import HOST, free_port
from servers.redis import RedisServer


async def test_a_wrong_password_is_unavailable_and_is_not_shown(
    redis_server: RedisServer, logged: list[EventDict]
) -> None:
    """Neither in an error nor in the log: both name the kind of failure."""
    url = f"redis://:wr0ng-secret@{HOST}:{redis_server.port}"
    async with open_redis(url, metrics=Metrics()) as link:
        with pytest.raises(Unavailable, match="AuthenticationError") as caught:
            await link.check()

    assert "wr0ng" not in repr(caught.value)
    assert "wr0ng" not in repr(logged)
    assert [line["event"] for line in logged] == ["redis_away"]
    assert logged[0]["reason"] == "AuthenticationError"


async def test_an_error_shows_nothing_of_what_was_sent(redis_url: str, logged: list[EventDict]) -> None:
    """The driver puts commands into its errors, and in them are messages."""
    async with open_redis(redis_url, metrics=Metrics()) as link:
        await link.run([("SET", "text", "x")])
        for commands in (
            [("XADD", "text", "*", "d", "private words")],
            [("XADD", "text", "*", "d", "private words")] * 2,
        ):
            with pytest.raises(Unavailable) as caught:
                await link.run(commands)

            assert "private" not in "".join(traceback.format_exception(caught.value))
        assert "private" not in repr(logged)


async def test_what_is_refused_does_not_close_the_way(redis_url: str) -> None:
    """A command that Redis takes for wrong fails alone; it has answered."""
    async with open_redis(redis_url, metrics=Metrics()) as link:
        await link.run([("SET", "text", "x")])
        with pytest.raises(Unavailable, match="ResponseError"):
            await link.run([("XLEN", "text")])

        assert not link.is_away
        assert await link.run([("GET", "text")]) == [b"x"]


async def test_a_primary_that_became_a_replica_is_left(guard: Guard) -> None:
    """Its connections are closed, so that an address which leads to the primary leads to the new one."""
    with RedisServer(guard=guard) as server:
        async with open_redis(server.url, metrics=Metrics()) as link:
            await link.run([("SET", "a", 1)])
            (before,) = connections_of(server)
            server.ask(f"REPLICAOF {HOST} 1")
            with pytest.raises(Unavailable, match="ReadOnlyError"):
                await link.run([("SET", "a", 2)])

            server.ask("REPLICAOF NO ONE")
            await wait_until(lambda: not link.is_away)

            assert await link.run([("SET", "a", 3)]) == [True]
            assert [line.split()[0] for line in connections_of(server)] != [before.split()[0]]


async def test_a_thousand_calls_at_once_share_a_few_connections(redis_server: RedisServer, redis_url: str) -> None:
    """Who finds none free waits for one."""
    async with open_redis(redis_url, metrics=Metrics(), call_seconds=20) as link:
        before = len(connections_of(redis_server))

        await asyncio.gather(*(link.run([("INCR", "n")]) for _ in range(1_000)))

        assert await link.run([("GET", "n")]) == [b"1000"]
        assert len(connections_of(redis_server)) - before <= CONNECTIONS + 1


async def test_nothing_is_opened_again_at_the_end(redis_server: RedisServer, redis_url: str) -> None:
    """Calls under way are waited for, those that come later are refused: no connection is left."""
    async with open_redis(redis_url, metrics=Metrics(), call_seconds=20) as link:
        calls = [spawn(link.run([("INCR", "n")]), "call") for _ in range(100)]
        await asyncio.sleep(0)

    ended = await asyncio.gather(*calls, return_exceptions=True)
    with pytest.raises(Unavailable):
        await link.check()

    assert all(isinstance(end, (list, Unavailable)) for end in ended)
    await wait_until(lambda: connections_of(redis_server) == [])


async def test_calls_fail_at_once_until_it_answers_again(guard: Guard) -> None:
    """And are counted by how they ended."""
    metrics = Metrics()
    with RedisServer(guard=guard) as server:
        async with open_redis(server.url, metrics=metrics) as link:
            await link.check()
            server.kill()
            for _ in range(10):
                with pytest.raises(Unavailable):
                    await link.check()
            await asyncio.to_thread(server.start)
            await wait_until(lambda: not link.is_away)
            await link.check()

    counted = [
        metrics.registry.get_sample_value("aldis_redis_calls_total", {"outcome": outcome})
        for outcome in ("answered", "failed", "refused")
    ]
    assert counted == [2, 1, 9]


async def test_an_account_needs_no_more_than_is_documented(redis_server: RedisServer) -> None:
    """With the rights that the page names everything works, and there is none that is not needed."""
    page = (Path(__file__).parents[3] / "docs/operations.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"<!-- tested: redis account -->\n```\n(.*)\n```", page)
    rights = line.split()
    needed = {right for right in rights if right.startswith("+")} - {"+cluster|slots", "+command"}  # for a Cluster

    redis_server.ask(line.replace("PASSWORD", "narrow"), "ACL LOG RESET", "CONFIG RESETSTAT")
    try:
        async with use_everything(f"redis://aldis:narrow@{HOST}:{redis_server.port}/255"):
            await wait_until(lambda: needed <= used_on(redis_server))
        (refused,) = redis_server.ask("ACL LOG")
    finally:
        redis_server.ask("ACL DELUSER aldis")

    assert refused == []


def used_on(server: RedisServer) -> set[str]:
    """The commands that were called, as the right to call them is written."""
    (counts,) = server.ask("INFO commandstats")
    return {f"+{name}" for name in re.findall(r"cmdstat_([a-z|]+):calls", str(counts))}


@asynccontextmanager
async def use_everything(url: str) -> AsyncIterator[None]:
    """Each thing that goes through Redis, once; then it goes on to listen."""
    ears = Ears()
    async with open_process(url) as one, open_process(url) as two, two.backplane.listen("gw-2", ears):
        await one.link.check()
        await one.presence.register("gw-1", [ANNA])
        await one.presence.renew("gw-1")
        assert await two.presence.nodes_of([ANNA]) == {ANNA: ("gw-1",)}
        await one.presence.withdraw("gw-1", [ANNA])
        await one.backplane.ring({"gw-2": [build_batch(1)]})
        await wait_until(lambda: ears.heard == [1])
        assert (await RedisTokenBank(one.link).lease("account", Rate(1, 5), 1)).granted == 1
        cache = RedisCache(one.link)
        await cache.put("account", b"1", 60)
        assert await cache.get("account") == b"1"
        await cache.invalidate("account")
        yield


async def test_tls_needs_a_certificate_that_somebody_known_has_signed(guard: Guard, tmp_path: Path) -> None:
    """With the authority named it is encrypted and the name is checked; without it nothing is sent."""
    certificate, key = write_certificate(tmp_path)
    port = free_port()
    server = RedisServer(
        guard=guard,
        tls_port=str(port),
        tls_cert_file=str(certificate),
        tls_key_file=str(key),
        tls_ca_cert_file=str(certificate),
        tls_auth_clients="no",
    )
    with server:
        url = f"rediss://:{server.password}@{HOST}:{port}"
        async with open_redis(f"{url}?ca={certificate}", metrics=Metrics()) as link:
            await link.check()
        async with open_redis(url, metrics=Metrics()) as link:
            with pytest.raises(Unavailable):
                await link.check()


def connections_of(server: RedisServer) -> list[str]:
    """Who is connected as we are."""
    (listed,) = server.ask("CLIENT LIST")
    return [line for line in str(listed).splitlines() if "name=aldis" in line]


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "aldis-test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "server.crt", folder / "server.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files
