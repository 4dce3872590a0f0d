"""Indexes on tables that are in use: made beside the writers, so after the migrations' transaction and not in it.

A migration names them (`indexes`, by name the statement). What an interrupted attempt has left is made anew.
"""

from collections.abc import Mapping

import asyncpg

from aldis.domain.errors import AldisError

TURN = 0x616C646974  # whoever builds holds this lock; one who waited for it in a statement would be waited for in turn

_STATES = (
    "SELECT name, (SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(name)) FROM unnest($1::text[]) name"
)


async def build_indexes(
    connection: "asyncpg.Connection[asyncpg.Record]", wanted: Mapping[str, str], *, has_pooler: bool
) -> None:
    """Make those that are not there, unless somebody else is at it. Raises `AldisError` where a pooler is between."""
    if not await _missing(connection, wanted):
        return
    if has_pooler:
        raise AldisError(f"indexes are to be made ({', '.join(wanted)}): run `aldis migrate` past the pooler")
    if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", TURN):
        return
    for name, is_begun in (await _missing(connection, wanted)).items():
        if is_begun:
            await connection.execute(f"DROP INDEX CONCURRENTLY {name}")
        await connection.execute(wanted[name])


async def _missing(connection: "asyncpg.Connection[asyncpg.Record]", wanted: Mapping[str, str]) -> dict[str, bool]:
    """Those that cannot be used, and whether something of them is there."""
    states = await connection.fetch(_STATES, list(wanted)) if wanted else []
    return {name: is_valid is not None for name, is_valid in states if not is_valid}
