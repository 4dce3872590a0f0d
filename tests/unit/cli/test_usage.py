import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aldis import __version__
from aldis.cli.app import app
from aldis.services.authenticate import TokenRules, decode_token

SECRET = "a-secret-of-at-least-thirty-two-bytes"


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """A terminal in an empty folder, without settings."""
    monkeypatch.chdir(tmp_path)
    for name in ("ALDIS_DATA_DIR", "ALDIS_JWT__SECRET", "ALDIS_KEY"):
        monkeypatch.delenv(name, raising=False)
    return CliRunner()


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "token",
        "token alice --ttl soon",
        "token alice --ttl 0s",
        "token al/ice",
        "serve --port 70000",
        "serve --port x",
        "send --to bob --text hi",
        "send --to bob --text hi --as alice --channel orders",
        "send --to bob --as alice",
        "send --to bob --text hi --as alice --priority now",
        "send --to bob --text hi --as alice --url ftp://example.org",
        "send --to bob --text hi --as alice --at 10m",
        "send --to bob --text hi --channel orders --at 10m",
        "send --to bob --text hi --channel orders --key k --at tomorrow",
        "send --to bob --text hi --channel orders --key k --at 10",
        "scheduled",
        "scheduled list",
        "scheduled list --key k --limit 0",
        "scheduled cancel --key k",
        "listen",
        "listen --as bob --device a/b",
        "key create",
        "key create shop --channel a/b",
        "key create shop --expires soon",
        "key create shop --scope read",
        "key rotate",
        "key rotate shop --overlap 0s",
        "channel apply",
        "user erase",
        "user erase a/b",
        "dead-letter list --reason lost",
        "dead-letter list --limit 0",
        "dead-letter replay",
        "dead-letter replay x --all",
        "dead-letter replay --all --channel news",
        "dead-letter purge",
        "dead-letter purge --recipient a/b",
    ],
)
def test_wrong_usage_ends_with_two(runner: CliRunner, line: str) -> None:
    """What cannot be meant is told beside the usage, with the exit code 2, and nothing is done."""
    result = runner.invoke(app, line.split())

    assert result.exit_code == 2
    assert "Usage: " in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("line", ["--help", "-h", "key --help", "send --help", "listen -h"])
def test_help_is_an_answer(runner: CliRunner, line: str) -> None:
    """Help goes to standard output and ends with 0."""
    result = runner.invoke(app, line.split())

    assert result.exit_code == 0
    assert "Usage: " in result.stdout


def test_the_version_is_the_packages(runner: CliRunner) -> None:
    """`--version` says what is installed."""
    assert runner.invoke(app, ["--version"]).stdout == f"aldis {__version__}\n"


@pytest.mark.parametrize("line", ["token alice", "send --to bob --text hi --as alice", "listen --as alice"])
def test_no_secret_is_made_by_accident(runner: CliRunner, tmp_path: Path, line: str) -> None:
    """Where no server has been, a token would be worth nothing: that is said, and no folder is made."""
    result = runner.invoke(app, [*line.split(), "--data-dir", str(tmp_path / "data")])

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "start `aldis serve` once, or set ALDIS_JWT__SECRET_FILE" in result.stderr
    assert not (tmp_path / "data").exists()


def test_a_token_is_all_that_is_printed(runner: CliRunner, tmp_path: Path) -> None:
    """The token stands alone, is signed with the data folder's secret, and ends when it was asked to."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "secret").write_text(SECRET)

    result = runner.invoke(app, ["token", "alice", "--ttl", "15m"])

    claims = decode_token(result.stdout.removesuffix("\n"), TokenRules(secrets=(SECRET,)))
    assert claims["sub"] == "alice"
    assert claims["exp"] == pytest.approx(time.time() + 900, abs=10)
    assert result.stderr == ""


def test_a_token_is_for_the_audience_that_the_server_asks_for(
    runner: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the server's own settings the server takes the token."""
    monkeypatch.setenv("ALDIS_JWT__SECRET", SECRET)
    monkeypatch.setenv("ALDIS_JWT__AUDIENCE", "phones")
    monkeypatch.setenv("ALDIS_JWT__ISSUER", "us")

    result = runner.invoke(app, ["token", "alice"])

    rules = TokenRules(secrets=(SECRET,), audience="phones", issuer="us")
    assert decode_token(result.stdout.strip(), rules)["sub"] == "alice"


def test_a_mistake_in_the_settings_is_one_line(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong variable is named; its value and a traceback are not shown."""
    monkeypatch.setenv("ALDIS_JWT__SECRET", "too-short")

    result = runner.invoke(app, ["token", "alice"])

    assert result.exit_code == 1
    assert result.stderr.startswith("aldis: ALDIS_JWT__SECRET: ")
    assert result.stderr.count("\n") == 1
    assert "too-short" not in result.stderr
