"""What is open in lanes, as SQL: one condition over the tables that say so.

Nothing is written for each recipient when a message is sent, and ranges of rings may cover entries that have been
acknowledged since. What a lane's head counts is kept here, too.
"""

from sqlalchemy import TextClause, text

from aldis.adapters.sql.dialect import Dialect

# Of `e`, an entry of a lane; it brings `c`, the entry's conversation, and goes on with AND.
OPEN = (
    " JOIN members m ON m.conversation_id = e.conversation_id AND m.user_id = e.user_id"
    " JOIN conversations c ON c.id = e.conversation_id"
    " WHERE NOT e.own AND e.type IS NULL AND m.read_seq < e.conversation_seq"
    " AND NOT EXISTS (SELECT 1 FROM cursor_moves v WHERE v.user_id = e.user_id AND v.source = e.lane"
    " AND v.high >= e.seq AND v.low < e.seq AND v.step = 'acked')"
    " AND NOT EXISTS (SELECT 1 FROM dead_letters d WHERE d.message_id = e.message_id AND d.recipient = e.user_id)"
)
IN_RANGE = "e.user_id = {of}.user_id AND e.lane = {of}.lane AND e.seq > {of}.low AND e.seq <= {of}.high"


def count_rings(dialect: Dialect) -> TextClause:
    """Add to how many rings are open in lanes."""
    return _count(dialect, "rings")


def count_failed(dialect: Dialect) -> TextClause:
    """Add to how many messages have failed in lanes."""
    return _count(dialect, "failed")


def _count(dialect: Dialect, column: str) -> TextClause:
    # Never below nothing: an erasure sets it there before the rows themselves go.
    rows = dialect.rows("user_id", "lane", "more:int")
    return text(
        f"UPDATE stream_heads SET {column} = CASE WHEN {column} + w.more > 0 THEN {column} + w.more ELSE 0 END FROM "
        f"{dialect.held('stream_heads', rows, 'user_id', 'source=lane')} w"
        " WHERE stream_heads.user_id = w.user_id AND stream_heads.source = w.lane"
    )
