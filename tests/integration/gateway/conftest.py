"""Servers for hostile clients: one for all whose tests leave it as it was, one with the limits of every day."""

from collections.abc import AsyncIterator

import pytest

from aldis.adapters.sql.store import SqlStore
from aldis.bootstrap import open_admin_store
from served import Server, served

ALARMS = ("Traceback", "group_failed", "task_died", "request_failed", "Fatal error", "[error ")


@pytest.fixture(scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A server without rate limits; nothing that a client does makes it fail or say a traceback."""
    async with served(tmp_path_factory.mktemp("open"), open_throttle=True) as server:
        yield server
        assert server.is_running
        assert alarms(server) == []


@pytest.fixture(scope="session")
async def strict_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A server with everyday rate limits, small contents, few devices, and signs of life asked for each second."""
    async with served(
        tmp_path_factory.mktemp("strict"),
        ALDIS_LIMITS__CONTENT_BYTES="1000",
        ALDIS_LIMITS__DEVICES_PER_USER="3",
        ALDIS_PING_INTERVAL="1",
    ) as server:
        yield server
        assert server.is_running
        assert alarms(server) == []


@pytest.fixture(scope="session")
async def store(server: Server) -> AsyncIterator[SqlStore]:
    """The store of the server, opened beside it as the command line does."""
    async with open_admin_store(server.settings()) as store:
        yield store


def alarms(server: Server) -> list[str]:
    """The lines of the server's log that tell of something nobody foresaw."""
    return [line for line in server.said().splitlines() if any(word in line for word in ALARMS)]
