"""Backup and restore, with the commands of `docs/operations.md`."""

import os
import re
import shutil
from pathlib import Path

import pytest
from e2e.terminal import CTRL_C, Terminal

CHECKOUT = Path(__file__).resolve().parents[1]
OPERATIONS = CHECKOUT / "docs" / "operations.md"
TESTED = re.compile(r"<!-- tested: (?P<name>\w+) -->\n```sh\n(?P<commands>.*?)```", re.DOTALL)
SERVE = ".venv/bin/aldis serve --port 0\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".venv").symlink_to(CHECKOUT / ".venv")
    return tmp_path


@pytest.fixture
def env() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ALDIS_")}
    return inherited | {"TERM": "dumb", "NO_COLOR": "1"}


def serve(terminal: Terminal) -> str:
    """Start a server; where it is."""
    terminal.type(SERVE)
    address = re.search(r"http://[0-9.:]+", terminal.read_line_with("serving"))
    assert address is not None
    return address[0]


def test_a_backup_made_beside_a_running_server_can_be_restored(home: Path, env: dict[str, str]) -> None:
    """What was stored before is there, what came later is not, and a device that had seen it is told to begin anew."""
    commands = {block["name"]: block["commands"] for block in TESTED.finditer(OPERATIONS.read_text(encoding="utf-8"))}
    with Terminal(home, env) as server, Terminal(home, env) as shell:
        url = serve(server)
        send = ".venv/bin/aldis send --as bob --to alice --url {url} --text {text}"
        listen = ".venv/bin/aldis listen --as alice --url {url}\n"
        shell.run(send.format(url=url, text="before"))
        shell.run(commands["backup"])
        shell.run(send.format(url=url, text="later"))
        shell.type(listen.format(url=url))
        shell.read_line_with("later")
        shell.press(CTRL_C)
        server.press(CTRL_C)

        (home / "data").rename(home / "lost")
        (home / "data").mkdir()
        shutil.copy(home / "backup.db", home / "data" / "aldis.db")
        shutil.copy(home / "lost" / "secret", home / "data" / "secret")
        shutil.copytree(home / "lost" / "clients", home / "data" / "clients")  # the device remembers where it was
        shell.run(commands["restore"])

        url = serve(server)
        shell.type(listen.format(url=url))
        shell.read_line_with("cannot go on from where this device was")
        shell.press(CTRL_C)
        assert shell.run(send.format(url=url, text="after")).strip()
        shell.type(listen.format(url=url))
        assert shell.read_line_with("after").endswith("bob: after")
        history = f'curl -s {url}/v1/conversations -H "Authorization: Bearer $(.venv/bin/aldis token alice)"'
        shell.press(CTRL_C)
        assert '"head_seq":2' in shell.run(history), "the conversation is not `before` and `after`"
        server.press(CTRL_C)
