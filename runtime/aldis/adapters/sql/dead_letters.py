"""Dead letters: the part of a transaction and the part of the store. Replays are in `replays.py`."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, TextClause, and_, func, select, text, true, update

from aldis.adapters.sql import schema
from aldis.adapters.sql.connection import Executing
from aldis.adapters.sql.dialect import Dialect
from aldis.adapters.sql.open_entries import count_failed
from aldis.adapters.sql.part import Part
from aldis.adapters.sql.reading import Reading
from aldis.adapters.sql.windows import look
from aldis.domain.deliveries import Reason
from aldis.domain.ids import MessageId, UserId
from aldis.domain.streams import Lane
from aldis.ports.dead_letters import DeadLetter, LetterFilter

_letters = schema.dead_letters
_FIELDS = [_letters.c[name] for name in DeadLetter._fields]
_NAMES = ", ".join(DeadLetter._fields)
_is_listed = _letters.c.purged_at.is_(None)


def _put_letters(dialect: Dialect) -> TextClause:
    numbers = {"seq", "attempts", "failed_at"}
    rows = dialect.rows(*(f"{name}:int" if name in numbers else name for name in DeadLetter._fields))
    return text(
        f"INSERT INTO dead_letters ({_NAMES}) SELECT * FROM {rows} w WHERE true"
        " ON CONFLICT (message_id, recipient) DO NOTHING RETURNING id"
    )


def _drop_acknowledged(dialect: Dialect) -> TextClause:
    return text(
        "DELETE FROM dead_letters WHERE id IN (SELECT d.id FROM "
        f"{dialect.rows('user_id', 'lane', 'low:int', 'high:int')} w JOIN dead_letters d"
        " ON d.recipient = w.user_id AND d.lane = w.lane AND d.seq > w.low AND d.seq <= w.high)"
        f" RETURNING {_NAMES}"
    )


def _drop_read(dialect: Dialect) -> TextClause:
    # Whoever has no letter, as nearly everybody, costs a look at his heads.
    return text(
        "DELETE FROM dead_letters WHERE id IN (SELECT d.id FROM "
        f"{dialect.rows('conversation_id', 'user_id', 'low:int', 'high:int')} w"
        " JOIN messages m ON m.conversation_id = w.conversation_id AND m.seq > w.low AND m.seq <= w.high"
        " JOIN dead_letters d ON d.message_id = m.id AND d.recipient = w.user_id"
        " WHERE EXISTS (SELECT 1 FROM stream_heads h WHERE h.user_id = w.user_id AND h.failed > 0))"
        f" RETURNING {_NAMES}"
    )


def _take(dialect: Dialect) -> TextClause:
    return text(
        f"DELETE FROM dead_letters WHERE id IN (SELECT which FROM {dialect.rows('which')} w)"
        f" AND purged_at IS NULL RETURNING {_NAMES}"
    )


def _drop(dialect: Dialect) -> TextClause:
    return text(
        f"DELETE FROM dead_letters WHERE id IN (SELECT which FROM {dialect.rows('which')} w) RETURNING {_NAMES}"
    )


class DeadLetters(Part):
    """Letters of one open transaction."""

    async def put_letters(self, letters: Sequence[DeadLetter]) -> set[str]:
        """Insert rows and count them."""
        if not letters:
            return set()
        stored = {identifier for (identifier,) in await self._run(_put_letters, letters)}
        await self._count_failed([letter for letter in letters if letter.id in stored], 1)
        return stored

    async def drop_acknowledged_letters(self, ranges: Sequence[tuple[UserId, Lane, int, int]]) -> list[DeadLetter]:
        """Delete by the index of a lane."""
        return await self._drop_letters(_drop_acknowledged, ranges)

    async def drop_read_letters(self, reads: Sequence[tuple[str, UserId, int, int]]) -> list[DeadLetter]:
        """Delete by the index of messages, for those who have any."""
        return await self._drop_letters(_drop_read, reads)

    async def take_letters(self, ids: Sequence[str]) -> list[DeadLetter]:
        """Delete by key."""
        taken = await self._drop_letters(_take, [(identifier,) for identifier in ids])
        return sorted(taken, key=lambda letter: letter.id)

    async def letter(self, letter: str) -> DeadLetter | None:
        """One row."""
        statement = select(*_FIELDS).where(_letters.c.id == letter, _is_listed)
        row = (await self._connection.execute(statement)).first()
        return to_letter(row) if row is not None else None

    async def letters_after(
        self, wanted: LetterFilter, after: str, until: str, *, limit: int, window: int
    ) -> tuple[list[DeadLetter], str | None]:
        """Along the index of one filter; the others are looked for on the way."""
        within = and_(_letters.c.id > after, _letters.c.id <= until)
        along, hit = _along(wanted)
        looked = await look(
            self._connection, along.where(within).order_by(_letters.c.id), hit, limit=limit, window=window
        )
        return [to_letter(row[:-1]) for row in looked.hits], looked.last.id if looked.last is not None else None

    async def newest_letter(self) -> str:
        """The upper end of the key."""
        return str((await self._connection.execute(select(func.max(_letters.c.id)))).scalar_one() or "")

    async def purge_letters(self, ids: Sequence[str], at: int) -> int:
        """Mark rows."""
        statement = update(_letters).where(_letters.c.id.in_(ids), _is_listed).values(purged_at=at)
        return int((await self._connection.execute(statement)).rowcount) if ids else 0

    async def purged_lanes(self, before: int, limit: int) -> list[tuple[UserId, Lane]]:
        """The index of those that are purged."""
        aged = select(_letters.c.recipient, _letters.c.lane).where(_letters.c.purged_at < before)
        rows = await self._connection.execute(aged.order_by(_letters.c.purged_at).limit(limit))
        return [(UserId(user), lane) for user, lane in rows]

    async def drop_purged_letters(self, before: int, limit: int) -> int:
        """Delete rows and count them."""
        aged = select(_letters.c.id).where(_letters.c.purged_at < before).order_by(_letters.c.purged_at).limit(limit)
        ids = [identifier for (identifier,) in await self._connection.execute(aged)]
        return len(await self._drop_letters(_drop, [(identifier,) for identifier in ids]))

    async def _drop_letters(self, build: Any, rows: Sequence[Sequence[Any]]) -> list[DeadLetter]:
        letters = [to_letter(row) for row in await self._run(build, rows)] if rows else []
        await self._count_failed(letters, -1)
        return letters

    async def _count_failed(self, letters: Sequence[DeadLetter], each: int) -> None:
        more = Counter((letter.recipient, letter.lane) for letter in letters)
        if more:
            await self._run(count_failed, [(*lane, each * count) for lane, count in sorted(more.items())])


class DeadLetterReads(Reading):
    """The part of the store."""

    async def dead_letters(
        self, wanted: LetterFilter, before: str | None, *, limit: int, window: int
    ) -> tuple[list[DeadLetter], str | None]:
        """The same index, from its other end."""
        along, hit = _along(wanted)
        along = along.where(_letters.c.id < before if before is not None else true()).order_by(_letters.c.id.desc())
        looked = await self._read(lambda connection: look(connection, along, hit, limit=limit, window=window))
        return [to_letter(row[:-1]) for row in looked.hits], looked.last.id if looked.last is not None else None

    async def count_letters(self, wanted: LetterFilter, most: int) -> int:
        """The hits among so many rows of that index."""
        along, hit = _along(wanted)
        looked = along.add_columns(hit.label("is_hit")).limit(most).subquery()
        statement = select(func.count()).select_from(looked).where(looked.c.is_hit)

        async def read(connection: Executing) -> int:
            return int((await connection.execute(statement)).scalar_one())

        return await self._read(read)


def _along(wanted: LetterFilter) -> tuple[Select[Any], ColumnElement[bool]]:
    """The rows along the index of the narrowest filter, and what the others say of a row."""
    narrowest_first = (("recipient", wanted.recipient), ("channel", wanted.channel), ("reason", wanted.reason))
    given = [_letters.c[name] == value for name, value in narrowest_first if value is not None]
    return select(*_FIELDS).where(_is_listed, *given[:1]), and_(true(), *given[1:])


def to_letter(row: Row[Any] | Sequence[Any]) -> DeadLetter:
    """A letter from the columns of its fields, in their order."""
    letter = DeadLetter(*row)
    return letter._replace(
        message_id=MessageId(letter.message_id), recipient=UserId(letter.recipient), reason=Reason(letter.reason)
    )
