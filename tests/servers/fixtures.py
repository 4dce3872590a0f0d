"""Real servers for tests, each started when a test first asks for it and shared by the run.

A test gets a database, a virtual host or a Redis database of its own, so tests do not see each other; with several
workers (`-n`) each has its own servers. A test that kills, pauses or flushes a server makes one for itself
(`with RedisServer(guard=guard) as redis:`). Where a server is not installed the test fails and says how to install it.
"""

from collections.abc import Iterator

import pytest

from servers.guard import Guard
from servers.postgres import PostgresServer
from servers.rabbitmq import RabbitServer
from servers.redis import RedisServer


@pytest.fixture(scope="session")
def guard() -> Iterator[Guard]:
    """Ends the servers of this run, should it be killed."""
    with Guard() as guard:
        yield guard


@pytest.fixture(scope="session")
def postgres_server(guard: Guard) -> Iterator[PostgresServer]:
    """The run's PostgreSQL. Databases of it: `create_database`, from a template if wanted."""
    with PostgresServer(guard=guard) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """An empty database for this test: `postgresql://…`."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(scope="session")
def rabbitmq_server(guard: Guard) -> Iterator[RabbitServer]:
    """The run's RabbitMQ."""
    with RabbitServer(guard=guard) as server:
        yield server


@pytest.fixture
def rabbitmq_url(rabbitmq_server: RabbitServer) -> Iterator[str]:
    """An empty virtual host for this test: `amqp://…`."""
    url = rabbitmq_server.create_vhost()
    yield url
    rabbitmq_server.drop_vhost(url)


@pytest.fixture(scope="session")
def redis_server(guard: Guard) -> Iterator[RedisServer]:
    """The run's Redis."""
    with RedisServer(guard=guard) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """An empty database for this test: `redis://…/N`. What is not in a database (pub/sub) is shared by all."""
    return redis_server.fresh_url()
