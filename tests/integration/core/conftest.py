"""The core on SQLite in memory and on PostgreSQL and, where it says so, on what can be opened again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from databases import url_of
from integration.core.faulty_store import FaultyStore
from integration.core.running_core import Core, open_core


@pytest.fixture(params=["sqlite-memory", "postgres"])
async def core(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Core]:
    """The core on each kind of database. With one writer, sends that come together are stored in their order."""
    async with open_core(url_of(request.param, request, tmp_path), writers=1) as core:
        yield core


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The address of a database file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'aldis.db'}"


@pytest.fixture
def faulty(core: Core) -> FaultyStore:
    """The core's store, ready to fail."""
    return FaultyStore(core.store)


@pytest.fixture
async def faulty_core(faulty: FaultyStore) -> AsyncIterator[Core]:
    """A core over the store that fails."""
    core = Core(faulty.as_store())
    yield core
    await core.committer.settle()
    await core.moves.settle()
