"""Who is named in any block, remembered between transactions: most groups of sends then need not look.

Exact, not just likely: it is asked inside the writer's transaction, what this process adds is added here first, and the
database tells when another connection has committed anything. A user who is no longer named may stay for a while.
"""

from collections.abc import Sequence

from sqlalchemy import select

from aldis.adapters.sql import schema
from aldis.adapters.sql.connection import Executing
from aldis.domain.ids import UserId
from aldis.ports.relations import Pair

MOST = 20_000  # users remembered, some 2 MB and 10 ms to read; where more are named, every group looks


class KnownBlocks:
    """The users who have blocked or are blocked."""

    def __init__(self) -> None:
        self._read_at: tuple[object, int] | None = None
        self._users: set[str] | None = None  # None: too many to be remembered

    def add(self, user: UserId, other: UserId) -> None:
        """These two are named now; if the transaction is undone, they are looked at in vain."""
        if self._users is not None:
            self._users |= {user, other}
            if len(self._users) > MOST:
                self._users = None

    async def may_concern(self, connection: Executing, pairs: Sequence[Pair]) -> bool:
        """False when there is certainly no block between any of the pairs."""
        version = connection.data_version()
        if version is None:
            return True
        if version != self._read_at:
            self._users = await _read_users(connection)
            self._read_at = version
        users = self._users
        if users is None:
            return True
        return bool(users) and any(first in users and second in users for first, second in pairs)


async def _read_users(connection: Executing) -> set[str] | None:
    table = schema.blocks
    statement = select(table.c.user_id).union(select(table.c.blocked)).limit(MOST + 1)
    found = {row[0] for row in await connection.execute(statement)}
    return found if len(found) <= MOST else None
