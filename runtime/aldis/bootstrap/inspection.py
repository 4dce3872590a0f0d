"""What `aldis doctor` looks at, with the adapters of a server."""

from pathlib import Path
from typing import TYPE_CHECKING

from aldis.adapters.http.key_source import open_http_key_source
from aldis.adapters.rabbitmq.wire import ask_version, quiet_driver
from aldis.adapters.sql.inspection import Inspection, inspect_sqlite
from aldis.domain.amqp_address import AmqpAddress

if TYPE_CHECKING:
    from aldis.adapters.sql.postgres_inspection import PostgresInspection


async def fetch_issuer_keys(url: str) -> bytes:
    """The keys of user tokens, fetched as a server does. Raises `Unavailable`."""
    async with open_http_key_source(url) as source:
        return await source.fetch()


def inspect_database(path: Path, *, seconds: float | None) -> Inspection:
    """What a database file says, read and not opened for use; its pages are checked for at most `seconds`."""
    return inspect_sqlite(path, seconds=seconds)


async def ask_database(url: str) -> "PostgresInspection":
    """What a PostgreSQL database says. Raises `AldisError`."""
    from aldis.adapters.sql.postgres_inspection import inspect_postgres  # noqa: PLC0415 - a driver that few need

    return await inspect_postgres(url)


async def ask_broker(address: AmqpAddress, node: tuple[str, int]) -> str:
    """The version of one node of the broker. Raises `Unavailable`."""
    quiet_driver()
    return await ask_version(address, node)
