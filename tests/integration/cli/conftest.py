"""One server for all whose tests leave it running, and a terminal beside it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from integration.cli.terminal import Terminal
from served import Server, served


@pytest.fixture(scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A running server."""
    async with served(tmp_path_factory.mktemp("cli"), open_throttle=True) as server:
        yield server


@pytest.fixture
def terminal(server: Server) -> Terminal:
    """A terminal on the server's machine, with its data folder."""
    return Terminal(server.data_dir, server.port)


@pytest.fixture
async def own_server(tmp_path: Path) -> AsyncIterator[Server]:
    """A server that a test may stop and start."""
    async with served(tmp_path) as server:
        yield server
