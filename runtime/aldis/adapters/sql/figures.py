"""What administrators are told in numbers; each of them cheap, or cut off where it would not be."""

from typing import Any

from sqlalchemy import Select, func, select, text

from aldis.adapters.sql import schema
from aldis.adapters.sql.connection import Executing
from aldis.adapters.sql.dialect import Dialect
from aldis.adapters.sql.rows import to_device
from aldis.adapters.sql.schema_state import FLOOR, REVISION, SchemaState
from aldis.adapters.sql.windows import count_up_to
from aldis.domain.ids import UserId
from aldis.ports.administration import Count, Profile, SeenDevice


def countable(now: int) -> dict[str, Select[Any]]:
    """The rows behind each number, each along an index or a narrow table."""
    heads, scheduled = schema.stream_heads, schema.scheduled
    return {
        "users": select(schema.users.c.user_id),
        "channels": select(schema.channels.c.name).where(schema.channels.c.deleted_at.is_(None)),
        "lanes_due": select(heads.c.due_at).where(heads.c.due_at.is_not(None), heads.c.due_at <= now),
        "rings_open": select(schema.rings.c.id),
        "dead_letters_open": select(schema.dead_letters.c.id).where(schema.dead_letters.c.purged_at.is_(None)),
        "scheduled_waiting": select(scheduled.c.id).where(scheduled.c.state == "waiting"),
        "outbox_rows": select(schema.outbox.c.id),
        "erasures_open": select(schema.erasures.c.user_id).where(schema.erasures.c.state != "done"),
    }


async def read_counts(connection: Executing, now: int, most: int) -> dict[str, Count]:
    """Count each, up to `most`."""
    found = {name: await count_up_to(connection, rows, most) for name, rows in countable(now).items()}
    return {name: Count(value, is_least=value == most) for name, value in found.items()}


async def read_profile(connection: Executing, user: UserId, limit: int) -> Profile:
    """What there is of a user."""
    devices, members = schema.devices, schema.members
    rows = await connection.execute(select(devices).where(devices.c.user_id == user).order_by(devices.c.device_id))
    seen = [SeenDevice(to_device(row), row.seen_at) for row in rows]
    intervals = schema.subscriptions
    heard = (
        select(intervals.c.channel)
        .where(intervals.c.user_id == user, intervals.c.until_be.is_(None))
        .order_by(intervals.c.channel)
        .limit(limit)
    )
    return Profile(
        devices=seen,
        conversations=await _count(connection, select(members.c.user_id).where(members.c.user_id == user)),
        subscriptions=[channel for (channel,) in await connection.execute(heard)],
        blocks=await _count(connection, select(schema.blocks.c.blocked).where(schema.blocks.c.user_id == user)),
    )


async def _count(connection: Executing, rows: Select[Any]) -> int:
    return int((await connection.execute(select(func.count()).select_from(rows.subquery()))).scalar_one())


async def read_database_bytes(connection: Executing, dialect: Dialect) -> int:
    """As the database says it."""
    return int((await connection.execute(text(dialect.database_bytes()))).scalar_one())


async def read_schema_state(connection: Executing) -> SchemaState:
    """What the migrations have noted."""
    revision, floor = [(await connection.execute(select(of.c.version_num))).scalar_one() for of in (REVISION, FLOOR)]
    return SchemaState(revision, floor)
