from pathlib import Path
from signal import SIGINT, SIGTERM, Signals

import pytest

from integration.cli.terminal import Terminal
from served import Server

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("number", [SIGINT, SIGTERM])
async def test_serve_says_where_it_listens_and_ends_well(number: Signals, tmp_path: Path) -> None:
    """A signal is the ordinary end, with the exit code 0; the data folder is there for the next start."""
    async with Terminal(tmp_path / "data", 0).running("serve") as serving:
        while "http://127.0.0.1:" not in (line := await serving.line()):
            assert line, (await serving.ended()).err

        outcome = await serving.end(number)

    assert outcome.code == 0
    assert "Traceback" not in outcome.out + outcome.err
    assert (tmp_path / "data" / "secret").stat().st_mode & 0o777 == 0o600


async def test_two_servers_cannot_share_a_folder(terminal: Terminal) -> None:
    """The second one says so in a line, and the first goes on."""
    outcome = await terminal.run("serve", "--port", "0")

    assert outcome.code == 1
    assert outcome.err.count("\n") == 1
    assert str(terminal.data_dir) in outcome.err


async def test_a_port_that_is_taken_is_said_in_a_line(server: Server, tmp_path: Path) -> None:
    """The address is named, and there is no traceback."""
    outcome = await Terminal(tmp_path, server.port).run("serve")

    assert outcome.code == 1
    assert f"aldis: cannot listen on 127.0.0.1:{server.port}" in outcome.err
    assert "Traceback" not in outcome.out + outcome.err
