"""PostgreSQL, where it is the database: does it take us, keep what it commits, and have room for our connections."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from aldis.cli.checks.database import check_newest, check_schema
from aldis.cli.checks.finding import Finding, fail, ok, warn
from aldis.domain.errors import AldisError

if TYPE_CHECKING:
    from aldis.adapters.sql.postgres_inspection import PostgresInspection

OLDEST = 150_000  # as the server numbers itself
CONNECTIONS = 14  # of one process of ours, at most


def check_postgres(
    *, ask: "Callable[[], PostgresInspection]", revisions: Sequence[str], now_ms: int
) -> Iterator[Finding]:
    """All that is to be said of a database on a server."""
    try:
        found = ask()
    except AldisError as error:
        remedy = "See that this machine can reach it, and that user, password, database and certificate are right."
        yield fail("database", f"PostgreSQL cannot be used: {error}", remedy)
        return
    yield check_server(found)
    yield check_schema(found.rows, revisions)
    yield check_durability(found)
    yield check_connections(found)
    yield check_newest(found.rows.newest_message, now_ms)


def check_server(found: "PostgresInspection") -> Finding:
    """New enough, a primary, and ours to make tables in."""
    detail = f"PostgreSQL {found.version} answers"
    if found.number < OLDEST:
        return fail("database", detail, "Use PostgreSQL 15 or newer.")
    if found.is_read_only:
        return fail("database", f"{detail}, but takes no writes", "Name the primary, or all hosts: it will be found.")
    if not found.may_create:
        remedy = "Make the role that Aldis uses the owner of its database: it makes and drops tables."
        return fail("database", f"{detail}, but lets us make no tables", remedy)
    return ok("database", detail)


def check_durability(found: "PostgresInspection") -> Finding:
    """What is answered as stored must be on the disk."""
    if found.unsafe:
        remedy = "Set it on: what was answered as stored could be lost with the server's machine."
        return fail("durability", f"{', '.join(found.unsafe)} off", remedy)
    return ok("durability", "commits are synced to the disk")


def check_connections(found: "PostgresInspection") -> Finding:
    """Whether another process of ours would find room."""
    detail = f"{found.connected} of {found.most} are taken"
    if found.connected + CONNECTIONS <= found.most:
        return ok("connections", detail)
    remedy = (
        f"Raise max_connections: a process of Aldis takes up to {CONNECTIONS}, and a new one starts before an old ends."
    )
    return warn("connections", detail, remedy)
