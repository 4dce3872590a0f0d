"""Completion in real shells, where they are installed; what the shells call is tested everywhere."""

import json
import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import pytest

from aldis.cli.completing import find_database
from aldis.settings import load_settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
PATIENCE_SECONDS = 60.0
BIN = Path(sys.executable).parent
SLOW_TO_IMPORT = {
    "aldis.bootstrap", "aldis.settings", "aldis_client", "alembic", "fastapi", "httpx2", "sqlalchemy", "uvicorn",
    "uvloop", "websockets",
}  # fmt: skip
PROMPT = "ready$ "
KEYS = [("aldis cha\t", "channel "), ("li\t", "list "), ("--he\t", "--help "), ("\n", "List the channels.")]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a data folder in it, whose database has two channels."""
    (tmp_path / "data").mkdir()
    with closing(connect(tmp_path / "data" / "aldis.db")) as database, database:
        database.execute("CREATE TABLE channels (name TEXT PRIMARY KEY)")
        database.executemany("INSERT INTO channels VALUES (?)", [("orders",), ("news",)])
    return tmp_path


def env_of(home: Path, **more: str) -> dict[str, str]:
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return {"HOME": str(home), "PATH": path, "TERM": "dumb", "LC_ALL": "C.UTF-8", "PS1": PROMPT, **more}


def run(home: Path, *command: str, **more: str) -> str:
    done = subprocess.run(
        command,
        cwd=home,
        env=env_of(home, **more),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    return done.stdout


def complete(home: Path, line: str) -> list[str]:
    """What a shell is offered for a line."""
    asked = {"_ALDIS_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    return run(home, "aldis", **asked).split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("aldis ke", ["key"]),
        ("aldis key re", ["revoke"]),
        ("aldis send --prio", ["--priority"]),
        ("aldis send --priority u", ["urgent"]),
        ("aldis send --channel ", ["news", "orders"]),
        ("aldis send --channel o", ["orders"]),
        ("aldis key create shop --channel n", ["news"]),
        ("aldis send --data-dir elsewhere --channel ", []),
    ],
)
def test_commands_options_and_channels_are_offered(home: Path, line: str, offered: list[str]) -> None:
    """Channels come out of the database; where there is none, nothing is offered and nothing is made."""
    assert complete(home, line) == offered
    assert not (home / "elsewhere").exists()


def test_a_database_that_is_in_use_or_broken_offers_nothing(home: Path) -> None:
    """A key press is no place for an error."""
    (home / "data" / "aldis.db").write_bytes(b"nonsense" * 1000)

    assert complete(home, "aldis send --channel ") == []


def test_completing_imports_no_server_and_no_client(home: Path) -> None:
    """That is what makes it quick: the channels are read with the standard library alone."""
    code = (
        "import atexit, json, sys; atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr));"
        "from aldis.__main__ import main; main()"
    )
    asked = {"_ALDIS_COMPLETE": "complete_bash", "COMP_WORDS": "aldis send --channel ", "COMP_CWORD": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=home, env=env_of(home, **asked), capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True,
    )  # fmt: skip

    assert done.stdout.split() == ["news", "orders"]
    assert not SLOW_TO_IMPORT & set(json.loads(done.stderr))


@pytest.mark.parametrize("variables", [{}, {"ALDIS_DATA_DIR": "/there"}, {"ALDIS_DATABASE_URL": "sqlite:////x/y.db"}])
def test_the_database_is_looked_for_where_the_settings_say(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The short way to it agrees with the long one."""
    for name in ("ALDIS_DATA_DIR", "ALDIS_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert f"sqlite:///{find_database(None)}" == load_settings().database_url


def test_bash_completes_at_the_tab_key_once_it_is_installed(home: Path) -> None:
    """As a person does it: install it for the shell, open another one, press the key."""
    (home / ".bashrc").write_text(f"PS1='{PROMPT}'\n")
    run(home, "bash", "-c", "aldis --install-completion; true")

    press(home, ["bash", "--rcfile", str(home / ".bashrc"), "-i"], KEYS)


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_completes_at_the_tab_key(home: Path) -> None:
    """With the script of `--show-completion`."""
    script = run(home, "zsh", "-c", "aldis --show-completion; true")
    (home / ".zshrc").write_text(f"PS1='{PROMPT}'\nautoload -Uz compinit\ncompinit -u\n{script}\n")

    press(home, ["zsh", "-i"], KEYS)


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes(home: Path) -> None:
    """Fish can be asked without a terminal."""
    ask = "aldis --show-completion | source; complete -C 'aldis send --channel o'; complete -C 'aldis ke'"

    assert [line.split()[0] for line in run(home, "fish", "-c", ask).splitlines()] == ["orders", "key"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(home: Path, shell: str) -> None:
    """What `--show-completion` prints calls this program in the way of that shell."""
    script = run(home, "aldis", _ALDIS_COMPLETE=f"source_{shell}")

    assert f"complete_{shell}" in script
    assert "_ALDIS_COMPLETE" in script


def press(home: Path, shell: list[str], keys: Sequence[tuple[str, str]]) -> None:
    """Press keys in an interactive shell, each time until its screen shows what it should."""
    screen, slave = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", *shell], cwd=home, env=env_of(home), stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    try:
        read_until(screen, PROMPT)
        for pressed, shown in keys:
            os.write(screen, pressed.encode())
            read_until(screen, shown)
    finally:
        process.kill()
        process.wait()
        os.close(screen)


def read_until(screen: int, words: str) -> None:
    """Read until these words have come."""
    deadline, seen = time.monotonic() + PATIENCE_SECONDS, ""
    while words not in seen:
        readable, _, _ = select.select([screen], [], [], max(0.0, deadline - time.monotonic()))
        assert readable, f"{words!r} did not come, but: {seen!r}"
        seen += os.read(screen, 65536).decode(errors="replace")
