"""A RabbitMQ of its own for tests that kill, pause, wipe or starve it; each leaves it running."""

from collections.abc import Iterator

import pytest

from integration.broker.trying_node import TryingNode
from servers.guard import Guard


@pytest.fixture(scope="session")
def node(guard: Guard) -> Iterator[TryingNode]:
    """The node of these tests."""
    with TryingNode(guard=guard) as node:
        yield node


@pytest.fixture
def url(node: TryingNode) -> Iterator[str]:
    """An empty virtual host of it."""
    if not node.is_running:
        node.start()
    url = node.create_vhost()
    yield url
    if node.is_running:
        node.drop_vhost(url)
