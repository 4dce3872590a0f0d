"""The databases that the SQL store runs on, empty for each test that asks.

`database_url` is one of all kinds, so a test of the store's promises runs on each. Making a PostgreSQL database syncs
hundreds of files, which takes a second on a busy machine: the tests of a run share one that is emptied after each.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aldis.adapters.sql.postgres_migrate import migrate_postgres
from aldis.adapters.sql.postgres_url import parse_postgres_url
from clustered import Servers
from servers.guard import Guard
from servers.postgres import PostgresServer
from servers.rabbitmq import RabbitServer
from servers.redis import RedisServer

SHARED = "shared"
TEMPLATE = "aldis_template"
DATABASES = ("sqlite-memory", "sqlite-file", "postgres")
DURABLE = ("sqlite-file", "postgres")
STRAYS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid();"
)
TABLES = (
    "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
    " AND NOT relispartition AND relname NOT IN ('alembic_version', 'schema_revision')"
)


@pytest.fixture(scope="session")
def migrated_url(postgres_server: PostgresServer) -> str:
    """A PostgreSQL database with our tables."""
    url = postgres_server.create_database(SHARED)
    _migrate(url)
    return url


@pytest.fixture(scope="session")
def cluster_servers(
    guard: Guard, postgres_server: PostgresServer, rabbitmq_server: RabbitServer, redis_server: RedisServer
) -> Servers:
    """What clusters of this run stand on."""
    _migrate(postgres_server.create_database(TEMPLATE))
    return Servers(guard, postgres_server, rabbitmq_server, redis_server, TEMPLATE)


@pytest.fixture
def postgres_store_url(postgres_server: PostgresServer, migrated_url: str) -> str:
    """The same, empty, and an installation of its own. A test that changes tables asks for `postgres_url` instead."""
    empty(postgres_server)
    return migrated_url


def _migrate(url: str) -> None:
    with ThreadPoolExecutor(1) as beside:  # a loop may run here already
        beside.submit(lambda: asyncio.run(migrate_postgres(parse_postgres_url(url), 0))).result()


def empty(server: PostgresServer) -> None:
    """Delete all rows; on tables as small as these it takes less than giving each a new file."""
    tables = server.execute(TABLES, SHARED).split()
    deletions = "".join(f'DELETE FROM "{table}";' for table in tables)  # noqa: S608 - names that the database gave
    server.execute(STRAYS + deletions, SHARED)


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each kind."""
    return url_of(request.param, request, tmp_path)


@pytest.fixture(params=DURABLE)
def durable_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each kind that can be opened again, or twice."""
    return url_of(request.param, request, tmp_path)


def url_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """The URL of a database of one kind; PostgreSQL's is asked for only here, so that others need no server."""
    if kind == "postgres":
        url: str = request.getfixturevalue("postgres_store_url")
        return url
    return "sqlite:///:memory:" if kind == "sqlite-memory" else f"sqlite:///{folder / 'aldis.db'}"
