"""Administration: channels as administrators change them, search, figures, the audit log."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, TextClause, and_, select, text, true, update

from aldis.adapters.sql import figures, schema
from aldis.adapters.sql.dialect import Dialect
from aldis.adapters.sql.erasures import ErasureReads, Erasures
from aldis.adapters.sql.rows import to_channel
from aldis.adapters.sql.schema_state import SchemaState
from aldis.adapters.sql.searches import search_messages
from aldis.adapters.sql.windows import look
from aldis.domain.audit import Action
from aldis.domain.channels import Channel
from aldis.domain.ids import UserId, new_id
from aldis.ports.administration import (
    AuditEntry,
    AuditFilter,
    Count,
    Found,
    KeptChannel,
    MessageFilter,
    Profile,
    SearchPlace,
)

AUDIT_WINDOW = 5_000  # entries looked at in one request; two filters at once have an index for one of them


def _closed(dialect: Dialect) -> TextClause:
    return text(
        f"SELECT c.name FROM {dialect.rows('name')} w JOIN channels c ON c.name = w.name WHERE c.deleted_at IS NOT NULL"
    )


class Administration(Erasures):
    """The part of an open transaction."""

    async def put_audit(self, actor: str, action: Action, target: str, details: Mapping[str, object], at: int) -> None:
        """Append a row."""
        row = {"id": new_id(at), "actor": actor, "action": action.value, "target": target, "at": at}
        await self._connection.execute(schema.audit.insert(), {**row, "details": json.dumps(details)})

    async def kept_channel(self, name: str) -> KeptChannel | None:
        """A channel's row, whether or not it is deleted."""
        table = schema.channels
        found = select(table).where(table.c.name == name).with_for_update()
        row = (await self._connection.execute(found)).first()
        return KeptChannel(to_channel(row), row.deleted_at is not None) if row is not None else None

    async def closed_channels(self, names: Sequence[str]) -> set[str]:
        """Rows that are marked."""
        found = await self._run(_closed, [(name,) for name in names]) if names else ()
        return {name for (name,) in found}

    async def close_channel(self, name: str, at: int) -> None:
        """Mark a row."""
        table = schema.channels
        await self._connection.execute(update(table).where(table.c.name == name).values(deleted_at=at, updated_at=at))


class AdministrationReads(ErasureReads):
    """The part of the store."""

    async def audit_entries(
        self, wanted: AuditFilter, before: str | None, limit: int
    ) -> tuple[list[AuditEntry], str | None]:
        """Newest first, along the index of one filter; the others are looked for on the way."""
        table = schema.audit
        given = [table.c[name] == value for name, value in reversed(wanted._asdict().items()) if value is not None]
        below = table.c.id < before if before is not None else true()
        along = select(table).where(below, *given[:1]).order_by(table.c.id.desc())
        hit = and_(true(), *given[1:])
        looked = await self._read_copy(
            lambda connection: look(connection, along, hit, limit=limit, window=AUDIT_WINDOW)
        )
        entries = [_to_entry(row) for row in looked.hits]
        return entries, looked.last.id if looked.last is not None else None

    async def channels_after(self, name: str, limit: int) -> list[Channel]:
        """A page of channels."""
        table = schema.channels
        statement = select(table).where(table.c.name > name, table.c.deleted_at.is_(None))
        return [to_channel(row) for row in await self._all(statement.order_by(table.c.name).limit(limit))]

    async def search_messages(
        self, wanted: MessageFilter, place: SearchPlace, *, limit: int, window: int, now: int
    ) -> Found:
        """A bounded search."""
        return await self._read_copy(
            lambda connection: search_messages(
                connection, self._dialect, wanted, place, limit=limit, window=window, now=now
            )
        )

    async def profile(self, user: UserId, limit: int) -> Profile:
        """What there is of a user."""
        return await self._read(lambda connection: figures.read_profile(connection, user, limit))

    async def counts(self, now: int, most: int) -> Mapping[str, Count]:
        """Rows of each kind."""
        return await self._read(lambda connection: figures.read_counts(connection, now, most))

    async def database_bytes(self) -> int:
        """The database's size."""
        return await self._read(lambda connection: figures.read_database_bytes(connection, self._dialect))

    async def schema_version(self) -> str:
        """The newest migration."""
        return str((await self.schema_state()).revision)

    async def schema_state(self) -> SchemaState:
        """The same, and for which programs it is."""
        return await self._read(figures.read_schema_state)


def _to_entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(row.id, row.actor, row.action, row.target, row.details.encode(), row.at)
