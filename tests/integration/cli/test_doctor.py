"""`aldis doctor` on real folders, disks and servers: each trouble is made, found, and told with its remedy."""

import json
import os
import re
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import Any

import pytest

from integration.cli.terminal import Outcome, Terminal
from served import Server

pytestmark = pytest.mark.slow
NAMES = [
    "python", "open_files", "memory", "settings", "data_folder", "filesystem", "disk", "secret", "database", "schema",
    "integrity", "log", "messages", "server", "version", "clock",
]  # fmt: skip


def checks_of(outcome: Outcome) -> dict[str, dict[str, Any]]:
    """The checks of a report by name, after seeing that the exit code agrees with them."""
    report = json.loads(outcome.out)
    assert outcome.err == ""
    failed = [check for check in report["checks"] if check["outcome"] == "fail"]
    assert (outcome.code, report["ok"]) == ((1, False) if failed else (0, True))
    assert all((check["remedy"] is None) == (check["outcome"] == "ok") for check in report["checks"])
    return {check["name"]: check for check in report["checks"]}


async def failures(terminal: Terminal, *options: str) -> dict[str, str]:
    """What has failed, by name, in words."""
    checks = checks_of(await terminal.run("doctor", "--json", *options))
    return {name: check["detail"] for name, check in checks.items() if check["outcome"] == "fail"}


@pytest.fixture
async def stopped(own_server: Server) -> Server:
    """A server that has ended well; its folder stays."""
    await own_server.terminate()
    return own_server


async def test_nothing_has_failed_beside_a_running_server(terminal: Terminal, server: Server) -> None:
    """Every check is made, the server is asked, and the secret is nowhere in the answer."""
    outcome = await terminal.run("doctor", "--json")
    checks = checks_of(outcome)

    assert list(checks) == NAMES
    assert outcome.code == 0
    assert checks["server"]["detail"] == f"{server.url} is ready"
    assert server.secret not in outcome.out


def test_every_check_is_documented() -> None:
    """The table of the page has each check, in the order in which they are made."""
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
    table = page.partition("## What is wrong?")[2].partition("\n## ")[0]

    assert re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE) == [
        *NAMES,
        "port",
        "jwks",
        "durability",
        "connections",
        "broker",
    ]


async def test_people_get_a_line_for_each_check(terminal: Terminal) -> None:
    """With the outcome first and a last line that sums up; no colours where there is no terminal."""
    outcome = await terminal.run("doctor", "--full")

    lines = [line for line in outcome.out.splitlines() if not line.startswith(" ")]
    assert outcome.code == 0
    assert [line.split()[1] for line in lines[:-1]] == NAMES
    assert "\x1b" not in outcome.out


async def test_looking_changes_nothing(stopped: Server) -> None:
    """Beside a server that has ended, the folder is as it was, to the last byte."""
    before = {path.name: path.read_bytes() for path in stopped.data_dir.iterdir() if path.is_file()}

    assert await failures(Terminal(stopped.data_dir, stopped.port)) == {}

    after = {path.name: path.read_bytes() for path in stopped.data_dir.iterdir() if path.is_file()}
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) <= {"aldis.db-wal", "aldis.db-shm"}, "SQLite reads through these"
    assert await restarted(stopped)


async def restarted(server: Server) -> bool:
    await server.start()
    return await server.status("/readyz") == 200


async def test_a_server_that_hangs_is_told(own_server: Server) -> None:
    """It holds the folder and does not answer."""
    os.kill(own_server.pid, SIGSTOP)
    try:
        found = await failures(Terminal(own_server.data_dir, own_server.port))
    finally:
        os.kill(own_server.pid, SIGCONT)

    assert list(found) == ["server"]
    assert found["server"].startswith("one runs on this data folder, but ")


async def test_a_server_that_listens_elsewhere_is_found_by_its_url(own_server: Server) -> None:
    """The settings say another port than the server was started with."""
    terminal = Terminal(own_server.data_dir, 1)

    assert list(await failures(terminal)) == ["server"]
    assert await failures(terminal, "--url", own_server.url) == {}


async def test_a_port_that_another_holds_is_told(stopped: Server) -> None:
    """Before the next start fails on it."""
    with closing(socket.socket()) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", stopped.port))
        other.listen()

        assert list(await failures(Terminal(stopped.data_dir, stopped.port))) == ["port"]


async def test_what_is_broken_in_a_folder_is_told_all_at_once(stopped: Server) -> None:
    """A database that is none and a secret that is too short; the server and the doctor say the same."""
    (stopped.data_dir / "aldis.db").write_bytes(b"nonsense" * 4096)
    (stopped.data_dir / "secret").write_text("short")
    terminal = Terminal(stopped.data_dir, stopped.port)

    found = await failures(terminal)
    (stopped.data_dir / "secret").write_text("long-enough-" * 4)
    refused = await terminal.run("serve")

    assert list(found) == ["secret", "database"]
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "see `aldis doctor`" in refused.err


async def test_a_database_of_a_newer_version_is_told(stopped: Server) -> None:
    """The server refuses it in a line, and the doctor says which version it is."""
    with closing(sqlite3.connect(stopped.data_dir / "aldis.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    terminal = Terminal(stopped.data_dir, stopped.port)

    found = await failures(terminal)
    refused = await terminal.run("serve")

    assert list(found) == ["schema"]
    assert "9999" in found["schema"]
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "does not know" in refused.err


async def test_every_mistake_in_the_settings_is_told(tmp_path: Path) -> None:
    """The rest is examined as far as it can be, and nothing is asked of a folder that is not known."""
    terminal = Terminal(tmp_path, 1, {"ALDIS_LOG_LEVEL": "loud", "ALDIS_PING_INTERVAL": "0"})

    found = await terminal.run("doctor", "--json")

    report = json.loads(found.out)
    failed = [check["detail"].partition(":")[0] for check in report["checks"] if check["outcome"] == "fail"]
    assert (found.code, report["data_dir"]) == (1, None)
    assert sorted(failed) == ["ALDIS_LOG_LEVEL", "ALDIS_PING_INTERVAL"]


@contextmanager
def disk(place: Path, options: str) -> Iterator[None]:
    """A small disk in memory, mounted at a place; skips where that is not permitted."""
    place.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "aldis-test", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not permitted here; the same rules have unit tests")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


async def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """On a real one without a byte left."""
    with disk(tmp_path / "data", "size=1m,mode=700"):
        with (tmp_path / "data" / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space"):
            while True:
                filler.write(bytes(65536))

        found = await failures(Terminal(tmp_path / "data", 0))

    assert found.keys() >= {"disk"}
    assert found.keys() <= {"disk", "data_folder"}


async def test_a_disk_that_may_only_be_read_is_told(tmp_path: Path) -> None:
    """Also to root, who may do everything elsewhere."""
    with disk(tmp_path / "data", "ro,mode=700"):
        found = await failures(Terminal(tmp_path / "data", 0))

    assert "Read-only" in found["data_folder"]
