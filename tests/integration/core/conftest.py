"""The core on SQLite in memory and, where it says so, on a file that can be opened again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from integration.core.faulty_store import FaultyStore
from integration.core.running_core import Core, open_core


@pytest.fixture
async def core() -> AsyncIterator[Core]:
    """The core in memory."""
    async with open_core() as core:
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
