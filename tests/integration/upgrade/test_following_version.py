"""A version to come has migrated the database: today's programs go on with it, or say why they do not."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import following
from aldis.adapters.sql.schema_state import known_revisions
from clustered import Cluster, Servers, clustered
from integration.upgrade.household import Device, calling, get, post, said
from served import HOME, Server, ServerFailed
from servers.aldis import AldisServer
from servers.place import ServerFailed as ProcessFailed
from servers.surroundings import surroundings

pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]
NEWEST = known_revisions()[0]
UNUSABLE = following.REVISION  # a floor that nobody knows today


async def run(*arguments: str, **variables: str) -> tuple[int, str]:
    """Run `aldis …`; how it ended, and what it said."""
    env = surroundings() | variables
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "aldis", *arguments, env=env, stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate()
    return process.returncode or 0, (out + err).decode().strip()


async def send(server: Server, words: str) -> str:
    """Let Ann write to Bob; the message."""
    async with calling(server, server.token("ann")) as http:
        return str((await post(http, "/v1/messages", said(words, user="bob")))["message_id"])


# -- SQLite -------------------------------------------------------------------------------------------------------


async def migrated_folder(tmp_path: Path, floor: str) -> tuple[Server, str]:
    """A folder with a message, after a version to come has served it."""
    server = Server(tmp_path, HOME)
    await server.start()
    message = await send(server, "before")
    await server.kill()
    newer = Server(tmp_path, HOME | following.make(tmp_path, floor=floor))
    await newer.start()
    await newer.kill()
    return server, message


async def test_a_folder_that_a_later_version_has_added_to_is_served(tmp_path: Path) -> None:
    """With what was in it, and as well as before."""
    server, before = await migrated_folder(tmp_path, NEWEST)

    await server.start()
    try:
        after = await send(server, "after")
        seen = await Device("bob", "phone", keeps_cursor=True).visit(server, after)
        async with calling(server, await server.key("ops", "--admin")) as http:
            stats = await get(http, "/v1/admin/stats")
    finally:
        await server.kill()

    assert seen == [("s", before), ("s", after)]
    assert stats["schema_version"] == following.REVISION


async def test_a_folder_that_needs_a_later_version_is_refused(tmp_path: Path) -> None:
    """In a line that says what it needs, and nothing is changed."""
    server, _ = await migrated_folder(tmp_path, UNUSABLE)

    with pytest.raises(ServerFailed, match=f"for programs that know {UNUSABLE}, this one knows up to {NEWEST}"):
        await server.start()


# -- PostgreSQL ---------------------------------------------------------------------------------------------------


@pytest.fixture
async def cluster(cluster_servers: Servers, tmp_path: Path) -> AsyncIterator[Cluster]:
    """Two gateways of today, and a worker."""
    async with clustered(cluster_servers, tmp_path) as cluster:
        yield cluster


async def exchange(cluster: Cluster, phone: Device, words: str) -> None:
    """See that what is sent to either gateway arrives once, in order."""
    sent = []
    for number, gateway in enumerate(cluster.gateways):
        async with calling(Place(gateway), cluster.token("ann")) as http:
            answer = await post(http, "/v1/messages", said(f"{words} {number}", user="bob"))
            sent.append(("s", answer["message_id"]))
    assert await phone.visit(cluster, *(message for _, message in sent)) == sent


class Place(Server):
    """One gateway, past the proxy."""

    def __init__(self, gateway: AldisServer) -> None:
        self.port = gateway.port


async def test_processes_go_on_and_start_again_while_a_later_version_migrates(
    cluster: Cluster, cluster_servers: Servers, tmp_path: Path
) -> None:
    """Those that run do not notice, those that are started again serve, and so do they beside later ones."""
    newer = following.make(tmp_path)
    phone = Device("bob", "phone", keeps_cursor=True)
    await exchange(cluster, phone, "before")

    told = await run("migrate", **cluster.variables, **newer)
    assert told == (0, f"schema {following.REVISION}, the newest; for programs that know {NEWEST} or more")
    database = cluster.variables["ALDIS_DATABASE_URL"].rpartition("/")[2]
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('ix_outbox_mood')"
    assert cluster_servers.postgres.execute(valid, database) == "t"
    await exchange(cluster, phone, "running on")

    for process in cluster.processes:
        await cluster.kill(process)
        await asyncio.to_thread(process.start)
    await exchange(cluster, phone, "started again")

    await cluster.kill(cluster.gateways[0])
    cluster.gateways[0]._variables |= newer
    await asyncio.to_thread(cluster.gateways[0].start)
    await exchange(cluster, phone, "beside a later one")
    ahead = f"schema {following.REVISION}, newer than this program's {NEWEST}, which can use it"
    assert await run("migrate", **cluster.variables) == (0, f"{ahead}; for programs that know {NEWEST} or more")
    assert "Traceback" not in cluster.said()


async def test_no_process_of_a_cluster_migrates_unless_it_is_told_to(
    cluster: Cluster, cluster_servers: Servers, tmp_path: Path
) -> None:
    """A gateway of a later version says what to do; with the setting it does it. Today's programs then go on."""
    newer = following.make(tmp_path)
    refused = AldisServer("gateway", cluster.variables | newer, guard=cluster_servers.guard)
    allowed = AldisServer(
        "gateway", cluster.variables | newer | {"ALDIS_DATABASE_MIGRATE": "true"}, guard=cluster_servers.guard
    )

    try:
        with pytest.raises(ProcessFailed, match="run `aldis migrate` first, or set ALDIS_DATABASE_MIGRATE"):
            await asyncio.to_thread(refused.start)
        assert (await run("migrate", **cluster.variables))[1].startswith(f"schema {NEWEST}, the newest")
        await asyncio.to_thread(allowed.start)
    finally:
        refused.close()
        allowed.close()

    assert (await run("migrate", **cluster.variables))[1].startswith(f"schema {following.REVISION}, newer")


async def test_what_needs_a_later_version_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    """By whoever starts; what runs is not ended by it."""
    newer = following.make(tmp_path, floor=UNUSABLE)
    assert (await run("migrate", **cluster.variables, **newer))[0] == 0

    code, words = await run("migrate", **cluster.variables)

    assert code == 1
    assert f"for programs that know {UNUSABLE}, this one knows up to {NEWEST}" in words
    assert cluster.is_running
