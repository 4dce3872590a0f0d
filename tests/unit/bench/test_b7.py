import json
import sqlite3
from contextlib import closing
from pathlib import Path

from bench.b7 import Reads, fill
from bench.database import SqliteDatabase

TABLES = """
CREATE TABLE conversations (id TEXT PRIMARY KEY, head_seq INTEGER);
CREATE TABLE messages (
    id TEXT PRIMARY KEY, conversation_id TEXT, seq INTEGER, client_id TEXT, content TEXT, added_later TEXT NOT NULL
);
INSERT INTO conversations VALUES ('c', 1);
INSERT INTO messages VALUES
    ('01a20bd9-cb98-7a75-bcd9-cadde16030b3', 'c', 1, 'first', '{"text":"0000000001.."}', 'kept');
"""


def test_a_conversation_is_filled_with_copies_of_its_first_message(tmp_path: Path) -> None:
    """Each copy has an id, a seq and a text of its own; columns that nobody knew of when this was written are kept."""
    file = tmp_path / "aldis.db"
    with closing(sqlite3.connect(file)) as database:
        database.executescript(TABLES)

    fill(SqliteDatabase(file), "c", 120)

    with closing(sqlite3.connect(file)) as database:
        rows = database.execute("SELECT id, seq, client_id, content, added_later FROM messages ORDER BY seq").fetchall()
        head = database.execute("SELECT head_seq FROM conversations").fetchone()
    assert head == (120,)
    assert [row[1] for row in rows] == list(range(1, 121))
    assert len({row[0] for row in rows}) == 120
    assert rows[-1][2:] == (None, '{"text":"0000000120.."}', "kept")


def test_a_page_must_hold_the_messages_that_belong_there() -> None:
    """A page of others, of fewer, or an error is a wrong page."""
    reads = Reads()
    right = json.dumps({"items": [{"seq": seq} for seq in range(70, 20, -1)]}).encode()

    reads.take(200, right, due=0.0, below=71)
    reads.take(200, right, due=0.0, below=72)
    reads.take(200, b'{"items":[]}', due=0.0, below=71)
    reads.take(503, b"", due=0.0, below=71)

    assert (len(reads.delays), reads.wrong) == (4, 3)
