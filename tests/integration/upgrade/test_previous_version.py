"""A data folder goes from the version before to this one, and back, with all that is in it."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

import previous
from aldis.adapters.sql.schema_state import known_revisions
from integration.upgrade.household import Device, assert_same, calling, post, said, settle
from served import HOME, OPEN_THROTTLE, Server

pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]


@dataclass(frozen=True, slots=True)
class Versions:
    """Servers of both on one data folder; one runs at a time."""

    before: Server
    now: Server


@pytest.fixture
async def versions(tmp_path: Path) -> AsyncIterator[Versions]:
    """Neither runs yet."""
    variables = HOME | OPEN_THROTTLE
    both = Versions(Server(tmp_path, variables | previous.environment()), Server(tmp_path, variables))
    yield both
    for server in (both.before, both.now):
        if server.is_running:
            await server.kill()


def revision_of(server: Server) -> str:
    """What the folder's database says."""
    with closing(sqlite3.connect(server.data_dir / "aldis.db")) as database:
        names = {name for (name,) in database.execute("SELECT name FROM sqlite_schema")}
        table = "schema_revision" if "schema_revision" in names else "alembic_version"
        (revision,) = database.execute(f"SELECT version_num FROM {table}").fetchone()  # noqa: S608 - one of two
        return str(revision)


async def test_this_version_serves_a_folder_of_the_version_before(versions: Versions) -> None:
    """Killed in the one and started in the other: nothing is missing, and what was under way goes on."""
    await versions.before.start()
    home = await settle(versions.before)
    looked = await home.look(versions.before)
    await home.schedule(versions.before)
    await versions.before.kill()
    old = revision_of(versions.before)

    await versions.now.start()

    assert revision_of(versions.now) == known_revisions()[0] != old
    assert_same(looked, await home.look(versions.now))
    await home.repeat(versions.now)
    assert_same(looked, await home.look(versions.now))
    await home.collect(versions.now)
    await home.await_scheduled(versions.now)
    await home.replay_letter(versions.now)
    assert "Traceback" not in versions.now.said()


async def test_the_version_before_takes_a_folder_back(versions: Versions) -> None:
    """An upgrade can be undone without a restore, also when the new version has been used meanwhile, and redone."""
    await versions.before.start()
    home = await settle(versions.before)
    await versions.before.kill()
    await versions.now.start()
    await home.collect(versions.now)
    await home.post_all(versions.now, "by the new one")
    await home.chat(versions.now, "by the new one")
    looked = await home.look(versions.now)
    await home.schedule(versions.now)
    await versions.now.kill()

    await versions.before.start()

    assert revision_of(versions.before) == known_revisions()[0]
    assert_same(looked, await home.look(versions.before))
    await home.repeat(versions.before)
    await home.collect(versions.before)
    await home.await_scheduled(versions.before)
    await home.replay_letter(versions.before)
    await home.post_all(versions.before, "by the old one again")
    looked = await home.look(versions.before)
    await versions.before.kill()

    await versions.now.start()

    assert_same(looked, await home.look(versions.now))
    await home.repeat(versions.now)
    await home.collect(versions.now)
    assert "Traceback" not in versions.now.said()


async def test_the_version_before_serves_a_folder_that_this_one_has_made(versions: Versions) -> None:
    """Also one that it has never seen, whose tables about the schema are all of this version's making."""
    await versions.now.start()
    async with calling(versions.now, versions.now.token("ann")) as http:
        first = await post(http, "/v1/messages", said("hello", user="bob"))
    await versions.now.kill()

    await versions.before.start()

    async with calling(versions.before, versions.before.token("ann")) as http:
        second = await post(http, "/v1/messages", said("hello again", user="bob"))
    seen = await Device("bob", "phone", keeps_cursor=True).visit(versions.before, second["message_id"])
    assert seen == [("s", first["message_id"]), ("s", second["message_id"])]
