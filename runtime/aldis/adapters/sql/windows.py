"""Looking through many rows in bounded steps: a window of rows along an index, of which some are hits.

A request costs at most its window, whatever is asked for; what it did not come to is the next one's.
"""

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, func, select

from aldis.adapters.sql.connection import Executing


class Looked(NamedTuple):
    """The hits in order, how many rows were looked at, and the last of them when there may be more."""

    hits: list[Row[Any]]
    rows: int
    last: Row[Any] | None


async def look(
    connection: Executing, along: Select[Any], hit: ColumnElement[bool], *, limit: int, window: int
) -> Looked:
    """Go along an ordered query, up to `limit` hits or `window` rows. `hit` is a condition on the query's table."""
    rows = (await connection.execute(along.add_columns(hit.label("is_hit")).limit(window))).all()
    hits: list[Row[Any]] = []
    for number, row in enumerate(rows, start=1):
        if row.is_hit:
            hits.append(row)
        if len(hits) == limit:
            return Looked(hits, number, row)
    return Looked(hits, len(rows), rows[-1] if len(rows) == window else None)


async def count_up_to(connection: Executing, rows: Select[Any], most: int) -> int:
    """How many rows a query has, looking at no more than `most`."""
    bounded = rows.limit(most).subquery()
    return int((await connection.execute(select(func.count()).select_from(bounded))).scalar_one())
