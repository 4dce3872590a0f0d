"""How statements reach PostgreSQL: SQLAlchemy writes their text, asyncpg runs it.

SQLAlchemy's own asynchronous engine was measured against this: its hand-over for each statement and its dressing of
rows took a third of this process's work for a group of sends. What is left of it here is the compiler, with its cache.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import asyncpg
from sqlalchemy import Executable, TextClause
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.util import LRUCache

from aldis.adapters.sql.connection import Parameters

STATEMENTS = 500  # texts kept; there are some two hundred

_PARAMETER = re.compile(r"\$(\d+)")
_HAS_ROWS = re.compile(r"\s*(SELECT|SHOW)\b|.*\bRETURNING\b", re.DOTALL)


class Record(asyncpg.Record):
    """A row whose columns also are attributes, as they are SQLAlchemy's."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def _mapping(self) -> "Record":
        return self


class Result:
    """All rows of a statement, or how many it changed; what the store uses of SQLAlchemy's class."""

    def __init__(self, rows: Sequence[Record], changed: int) -> None:
        self._rows = rows
        self.rowcount = changed

    def __iter__(self) -> Iterator[Record]:
        return iter(self._rows)

    def all(self) -> Sequence[Record]:
        """The rows."""
        return self._rows

    def first(self) -> Record | None:
        """The first row."""
        return self._rows[0] if self._rows else None

    def one(self) -> Record:
        """The only row."""
        (row,) = self._rows
        return row

    def scalar_one(self) -> Any:
        """The first column of the only row."""
        return self.one()[0]

    def scalar_one_or_none(self) -> Any:
        """The first column of the only row, if there is one."""
        return self.scalar_one() if self._rows else None


class Statement(NamedTuple):
    """A text with numbered parameters, and whether it answers rows."""

    text: str
    values: Sequence[Any]
    has_rows: bool


class Statements:
    """Turns SQLAlchemy's statements into PostgreSQL's text, each once."""

    def __init__(self) -> None:
        self._dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
        self._compiled: Any = LRUCache(STATEMENTS)
        self._texts: dict[str, tuple[str, Sequence[str], bool]] = {}
        self._together: dict[tuple[str, ...], str] = {}

    def bind(self, statement: Executable, parameters: Mapping[str, Any]) -> Statement:
        """A statement with its values."""
        if isinstance(statement, TextClause):
            text, names, has_rows = self._texts.get(statement.text) or self._add(statement)
            return Statement(text, [parameters[name] for name in names], has_rows)
        compiled, extracted = self._compile(statement, parameters, many=False)
        values = compiled.construct_params(parameters, extracted_parameters=extracted)
        expanded = compiled.construct_expanded_state(values)
        return Statement(expanded.statement, expanded.positional_parameters, _has_rows(expanded.statement))

    def bind_many(self, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> tuple[str, list[Sequence[Any]]]:
        """A statement with its values for each of many rows."""
        compiled, extracted = self._compile(statement, rows[0], many=True)
        names = compiled.positiontup or ()
        dressed = [compiled.construct_params(row, extracted_parameters=extracted) for row in rows]
        return str(compiled), [[values[name] for name in names] for values in dressed]

    def together(self, texts: Sequence[str]) -> str:
        """One statement that does what all of these do; none sees what another does."""
        key = tuple(texts)
        found = self._together.get(key)
        if found is None:
            found = self._together[key] = _join(texts)
        return found

    def _add(self, statement: TextClause) -> tuple[str, Sequence[str], bool]:
        compiled: Any = statement.compile(dialect=self._dialect)
        text = str(compiled)
        added = self._texts[statement.text] = (text, tuple(compiled.positiontup or ()), _has_rows(text))
        return added

    def _compile(self, statement: Any, parameters: Mapping[str, Any], *, many: bool) -> tuple[SQLCompiler, Any]:
        """As SQLAlchemy's own connections do it; there is no public name for compiling with a cache."""
        compiled, extracted, *_ = statement._compile_w_cache(  # noqa: SLF001
            self._dialect, compiled_cache=self._compiled, column_keys=sorted(parameters), for_executemany=many
        )
        return compiled, extracted


def _join(texts: Sequence[str]) -> str:
    """All but the last become parts of a WITH; their parameters are numbered on."""
    numbered: list[str] = []
    taken = 0
    for text in texts:
        numbers = [int(number) for number in _PARAMETER.findall(text)]
        numbered.append(_PARAMETER.sub(lambda match, by=taken: f"${int(match[1]) + by}", text))  # type: ignore[misc]
        taken += max(numbers, default=0)
    *before, last = numbered
    parts = ", ".join(f"w{number} AS ({text})" for number, text in enumerate(before))
    return f"WITH {parts} {last}" if parts else last


def _has_rows(text: str) -> bool:
    return _HAS_ROWS.match(text) is not None


class PostgresConnection:
    """Runs statements on one connection of the driver's."""

    def __init__(self, driver: "asyncpg.pool.PoolConnectionProxy[Record]", statements: Statements) -> None:
        self._driver = driver
        self._statements = statements
        self._writes: list[Statement] = []  # that wait to go together

    async def write(self, statement: TextClause, parameters: Mapping[str, Any]) -> None:
        """Keep it until something else is to be run, or the transaction ends: each round trip costs more than a row."""
        write = self._statements.bind(statement, parameters)
        if any(other.text == write.text for other in self._writes):
            await self.flush()  # rows of one table keep their order
        self._writes.append(write)

    async def flush(self) -> None:
        """Run what has been kept."""
        if self._writes:
            writes, self._writes = self._writes, []
            together = self._statements.together([write.text for write in writes])
            await self._driver.execute(together, *(value for write in writes for value in write.values))

    async def execute(self, statement: Executable, parameters: Parameters = None) -> Result:
        """Run a statement; for many rows it is sent once and run for each, in order."""
        await self.flush()
        if parameters is not None and not isinstance(parameters, Mapping):
            await self._driver.executemany(*self._statements.bind_many(statement, parameters))
            return Result((), len(parameters))
        text, values, has_rows = self._statements.bind(statement, parameters or {})
        if has_rows:
            rows = await self._driver.fetch(text, *values)
            return Result(rows, len(rows))
        status = await self._driver.execute(text, *values)
        return Result((), int(status.rpartition(" ")[2]) if status[-1].isdigit() else 0)

    def data_version(self) -> tuple[object, int] | None:
        """PostgreSQL has no such number that would be cheaper to ask for than what it is to save."""
        return None
