"""Clusters for tests of what several processes do together."""

from collections.abc import AsyncIterator

import pytest

from clustered import Cluster, Servers, clustered


@pytest.fixture(scope="module")
async def cluster(cluster_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """A cluster without rate limits, for all tests of a file."""
    async with clustered(cluster_servers, tmp_path_factory.mktemp("cluster"), open_throttle=True) as cluster:
        yield cluster
