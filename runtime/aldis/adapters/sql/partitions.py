"""Tables that grow with time, cut into partitions on PostgreSQL: what has aged goes with its whole table.

Deleting row by row costs as much as writing did, and leaves indexes full of holes to be cleaned. Only what is appended
and left alone is cut: of lanes (`stream_events`) each page is one range of one key, and floors must rise lane by lane.
No unique index spans partitions: that a seq is given once is seen to by heads, that a send is stored once by its key.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from aldis.domain.ids import first_id_at

DAY_MS = 24 * 3600 * 1000
AHEAD = 2  # partitions made before their time: weeks in which nobody need look after it


@dataclass(frozen=True, slots=True)
class Partitioned:
    """A table cut by time; `key` is an id that begins with it, or Unix milliseconds.

    Long spans keep few partitions: a query that names no time looks into each of them.
    """

    table: str
    key: str
    days: int

    @property
    def span_ms(self) -> int:
        """How much time one partition holds."""
        return self.days * DAY_MS

    def bound(self, ms: int) -> str:
        """A time as a literal of the key."""
        return f"'{first_id_at(ms)}'" if self.key == "id" else str(ms)


PARTITIONED = (
    Partitioned("messages", "id", 28),
    Partitioned("cursor_moves", "at", 14),
    Partitioned("attempts", "at", 14),
)
PARTS = (
    "SELECT p.relname AS parent, c.relname AS name FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent"
    " JOIN pg_class c ON c.oid = i.inhrelid WHERE p.relkind = 'p'"
    " AND p.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())"
)


def missing(existing: Iterable[str], now_ms: int) -> list[tuple[Partitioned, int]]:
    """The partitions that should be there and are not, with where each begins (Unix ms)."""
    names = set(existing)
    return [(of, start) for of in PARTITIONED for start in _starts(of, now_ms) if name_of(of, start) not in names]


def aged(existing: Iterable[tuple[str, str]], table: str, before_ms: int) -> list[str]:
    """The partitions of a table that hold nothing younger; `existing` are pairs of table and name."""
    (of,) = (of for of in PARTITIONED if of.table == table)
    names = [name for parent, name in existing if parent == table]
    return sorted(name for name in names if (start := _start_of(name)) is not None and start + of.span_ms <= before_ms)


def make(of: Partitioned, start_ms: int) -> list[str]:
    """The statements that make one. Rows that came before it are with the default partition, and move."""
    name, low, high = name_of(of, start_ms), of.bound(start_ms), of.bound(start_ms + of.span_ms)
    early = f"DELETE FROM {of.table}_default WHERE {of.key} >= {low} AND {of.key} < {high} RETURNING *"
    return [
        f"CREATE TABLE {name} (LIKE {of.table} INCLUDING ALL)",
        f"WITH early AS ({early}) INSERT INTO {name} SELECT * FROM early",
        f"ALTER TABLE {of.table} ATTACH PARTITION {name} FOR VALUES FROM ({low}) TO ({high})",
    ]


def drop(name: str) -> str:
    """The statement that drops one."""
    return f"DROP TABLE {name}"


def forget_strays(table: str, before_ms: int) -> str:
    """The statement that deletes what has aged among the few rows that were too early or too late for a partition."""
    return f"DELETE FROM {table}_default WHERE at < {before_ms}"


def name_of(of: Partitioned, start_ms: int) -> str:
    """A partition is named for the day on which it begins."""
    return f"{of.table}_{datetime.fromtimestamp(start_ms / 1000, UTC):%Y%m%d}"


def _starts(of: Partitioned, now_ms: int) -> list[int]:
    first = now_ms - now_ms % of.span_ms
    return [first + number * of.span_ms for number in range(AHEAD + 1)]


def _start_of(name: str) -> int | None:
    day = name.rpartition("_")[2]
    if not day.isdigit():
        return None
    return round(datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).timestamp() * 1000)
