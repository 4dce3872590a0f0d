"""All in which databases differ: how a list becomes rows, how an upsert is written, how transactions begin.

Lists of keys go to the database as one JSON parameter, so that a statement has one text (and one plan) for any length.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Engine, ExceptionContext, Table, case, event, func
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from aldis.domain.errors import AldisError, Unavailable
from aldis.ports.store import Contention, Unstorable

S = TypeVar("S")
_encode = msgspec.json.Encoder().encode
BUSY_MS = 5_000  # how long SQLite waits for another process's write (the command line beside a running serve)
CACHE_KIB = 64 * 1024  # of pages in memory for each SQLite connection that writes


class Dialect(Protocol):
    """What the store asks of a database's own language."""

    has_lateral: bool  # whether a FROM item may look at those before it
    has_partitions: bool  # whether records go with the whole table that they are in

    def rows(self, *columns: str) -> str:
        """A FROM item with the JSON parameter `:rows` as rows; a column is `name` (text), `name:int` or `name:bool`."""
        ...

    def locking(self, table: str) -> str:
        """What ends a SELECT that holds its rows of `table` until the transaction's end."""
        ...

    def leasing(self, table: str) -> str:
        """The same, leaving out the rows that others hold."""
        ...

    def held(self, table: str, rows: str, *keys: str) -> str:
        """`rows` as a FROM item of an UPDATE of `table`, whose rows are locked in the order of `keys` first.

        A key is the name of a column of both, or `its=theirs` where the table's differs.
        """
        ...

    def contains(self, content: ColumnElement[str], text: str) -> ColumnElement[bool]:
        """Whether the words of a content have this in them, whatever the case of ASCII letters."""
        ...

    def database_bytes(self) -> str:
        """A query for how much the database holds on its disk."""
        ...

    def insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """An INSERT that knows ON CONFLICT."""
        ...

    def made(self, build: Callable[["Dialect"], S]) -> S:
        """The statement that `build` makes, made once: building one costs as much as running it."""
        ...


class SqliteDialect:
    """SQLite 3.35 or newer."""

    has_lateral = False
    has_partitions = False

    def __init__(self) -> None:
        self._made: dict[Any, Any] = {}

    def made(self, build: Callable[[Dialect], S]) -> S:
        """Remember statements by their builders."""
        statement = self._made.get(build)
        if statement is None:
            statement = self._made[build] = build(self)
        made: S = statement
        return made

    def rows(self, *columns: str) -> str:
        """Rows out of `json_each`."""
        fields = (
            f"json_extract(value, '$[{position}]') AS {column.partition(':')[0]}"
            for position, column in enumerate(columns)
        )
        return f"(SELECT {', '.join(fields)} FROM json_each(:rows) WHERE true)"

    def locking(self, table: str) -> str:  # noqa: ARG002 - others name it
        """Nothing: a transaction that writes is alone from its beginning."""
        return ""

    def leasing(self, table: str) -> str:  # noqa: ARG002 - the same
        """Nothing, for the same reason."""
        return ""

    def held(self, table: str, rows: str, *keys: str) -> str:  # noqa: ARG002 - the same
        """The rows as they are."""
        return rows

    def contains(self, content: ColumnElement[str], text: str) -> ColumnElement[bool]:
        """By SQLite's JSON functions."""
        is_text = func.json_extract(content, "$.type") == "text"
        words = case((is_text, func.json_extract(content, "$.text")), else_=content)
        return func.instr(func.lower(words), func.lower(text)) > 0

    def database_bytes(self) -> str:
        """Pages times their size."""
        return "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"

    def insert(self, table: Table) -> sqlite.Insert:
        """SQLite's INSERT."""
        return sqlite.insert(table)


def translate(error: DBAPIError) -> AldisError:
    """Busy is contention, a refused row unstorable, all else (disk full, closed) unavailable."""
    message = str(error.orig)
    if isinstance(error, OperationalError) and ("locked" in message or "busy" in message):
        return Contention("the database is busy", retry_after_ms=50)
    if isinstance(error, IntegrityError):
        return Unstorable("the database refuses a row")
    return Unavailable("the database does not answer")


def as_rows(rows: Iterable[Sequence[Any]]) -> dict[str, str]:
    """The parameter that `Dialect.rows` reads. Half a character has no form in it."""
    try:
        return {"rows": _encode(list(rows)).decode()}
    except UnicodeEncodeError as error:
        raise Unstorable("the database cannot hold a value") from error


def prepare_sqlite(engine: Engine, *, begin: str | None) -> None:
    """Set what every SQLite connection needs; `begin` is the statement that opens a transaction."""

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # this module says BEGIN, not the driver
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout={BUSY_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            f"cache_size=-{CACHE_KIB}",
            "temp_store=MEMORY",
            "wal_autocheckpoint=0",  # a commit never pays for it: see checkpoint.py
            "secure_delete=ON",  # what is deleted is overwritten, so that no page still holds what was erased
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "handle_error")
    def on_error(context: ExceptionContext) -> Unstorable | None:
        """A value that no column can hold is refused by the driver before the database sees it."""
        refused = isinstance(context.original_exception, (OverflowError, UnicodeEncodeError))
        return Unstorable("the database cannot hold a value") if refused else None

    if begin is not None:

        @event.listens_for(engine, "begin")
        def on_begin(connection: Any) -> None:
            connection.exec_driver_sql(begin)
