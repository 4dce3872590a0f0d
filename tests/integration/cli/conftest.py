"""One server for all whose tests leave it running, and a terminal beside it."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from integration.cli.letters import FLEETING
from integration.cli.terminal import Terminal
from served import Server, served


@pytest.fixture(scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A running server."""
    async with served(tmp_path_factory.mktemp("cli"), open_throttle=True) as server:
        yield server


@pytest.fixture(scope="session")
async def ops(server: Server) -> AsyncIterator[httpx2.AsyncClient]:
    """A backend that sends and administers, with a channel whose messages live for a second."""
    headers = {"authorization": f"Bearer {await server.key('letter-ops', '--admin')}"}
    async with httpx2.AsyncClient(base_url=server.url, headers=headers, trust_env=False, timeout=30) as http:
        await http.put("/v1/admin/channels/fleeting", json=FLEETING)
        yield http


@pytest.fixture
def terminal(server: Server) -> Terminal:
    """A terminal on the server's machine, with its data folder."""
    return Terminal(server.data_dir, server.port)


@pytest.fixture
async def own_server(tmp_path: Path) -> AsyncIterator[Server]:
    """A server that a test may stop and start."""
    async with served(tmp_path) as server:
        yield server
