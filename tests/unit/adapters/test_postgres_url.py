"""PostgreSQL URLs: what libpq would understand, and what is told of what is wrong."""

from pathlib import Path

import pytest

from aldis.adapters.sql.postgres_url import CONNECT_SECONDS, is_postgres_url, parse_postgres_url
from aldis.domain.errors import AldisError

SECRET = "s3cret"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://db/aldis", True),
        ("postgres://db/aldis", True),
        ("postgresql+asyncpg://db/aldis", True),
        ("sqlite:///aldis.db", False),
        ("mysql://db/aldis", False),
    ],
)
def test_urls_of_postgresql_are_known_by_their_scheme(url: str, expected: bool) -> None:
    """All three spellings that are in use."""
    assert is_postgres_url(url) is expected


def test_a_password_is_kept_apart() -> None:
    """It is in no text that might be logged, and percent signs are read."""
    url = parse_postgres_url(f"postgresql://aldis:{SECRET}%40%2F@db/aldis")

    assert url.password == f"{SECRET}@/"
    assert SECRET not in repr(url)
    assert SECRET not in url.dsn


def test_several_hosts_are_tried_for_the_one_that_takes_writes() -> None:
    """A list of hosts is passed on; which of them is the primary is found out, unless the URL wants another."""
    url = parse_postgres_url("postgresql://aldis@one:5432,two:5433,[::1]:5434/aldis")

    assert url.dsn == "postgresql://aldis@one:5432,two:5433,[::1]:5434/aldis?target_session_attrs=read-write"
    assert "target_session_attrs=any" in parse_postgres_url("postgresql://one/aldis?target_session_attrs=any").dsn


def test_options_become_settings_of_the_server() -> None:
    """Both spellings, a space that is escaped, and the name by which it knows us."""
    url = parse_postgres_url(
        "postgresql://db/aldis?options=-c%20lock_timeout%3D2s%20--search-path%3Da%5C%20b&application_name=desk"
    )

    assert url.settings == {"application_name": "desk", "lock_timeout": "2s", "search_path": "a b"}


def test_what_is_not_said_has_defaults() -> None:
    """We tell our name, wait a few seconds for each host, and expect no pooler."""
    url = parse_postgres_url("postgresql:///aldis?fallback_application_name=worker")

    assert url.settings == {"application_name": "worker"}
    assert (url.connect_seconds, url.has_pooler, url.password) == (CONNECT_SECONDS, False, None)
    assert parse_postgres_url("postgresql://db/a?connect_timeout=0").connect_seconds == CONNECT_SECONDS
    assert parse_postgres_url("postgresql://db/a?connect_timeout=2").connect_seconds == 2.0


def test_a_password_file_is_read_for_each_connection(tmp_path: Path) -> None:
    """What is replaced counts at once; a file that is not there is told by name."""
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\n", encoding="utf-8")
    read = parse_postgres_url(f"postgresql://aldis@db/aldis?password_file={file}").password
    assert callable(read)

    assert read() == SECRET
    file.write_text("another", encoding="utf-8")
    assert read() == "another"
    file.unlink()
    with pytest.raises(AldisError, match=f"password_file {file} cannot be read"):
        read()


def test_a_pooler_is_said_to_be_there() -> None:
    """What depends on a session is done without."""
    assert parse_postgres_url("postgresql://db/aldis?pooler=transaction").has_pooler
    assert not parse_postgres_url("postgresql://db/aldis?pooler=session").has_pooler


@pytest.mark.parametrize("harmless", ["channel_binding=prefer", "gssencmode=disable", "client_encoding=utf8"])
def test_parameters_that_change_nothing_are_let_through(harmless: str) -> None:
    """URLs that other programs use work here, too."""
    assert "?target_session_attrs" in parse_postgres_url(f"postgresql://db/aldis?{harmless}").dsn


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (f"postgresql://aldis:{SECRET}/x@db/aldis", "%2F"),
        (f"postgresql://aldis:{SECRET}@x@db/aldis", "%40"),
        (f"postgresql://aldis:{SECRET}#x@db/aldis", "%23"),
        (f"postgresql://aldis:{SECRET}@db:port/aldis", "host1:5432"),
        (f"postgresql://aldis:{SECRET}@,/aldis", "host1:5432"),
        (f"postgresql://aldis:{SECRET}@db/aldis?sslmode", "name=value"),
        (f"postgresql://aldis:{SECRET}@db/aldis?ssl_mode=require", "ssl_mode is not supported"),
        (f"postgresql://aldis:{SECRET}@db/aldis?channel_binding=require", "channel_binding is not supported"),
        (f"postgresql://aldis:{SECRET}@db/aldis?target_session_attrs=master", "one of any"),
        (f"postgresql://aldis:{SECRET}@db/aldis?connect_timeout=soon", "number of seconds"),
        (f"postgresql://aldis:{SECRET}@db/aldis?pooler=yes", "session or transaction"),
        (f"postgresql://aldis:{SECRET}@db/aldis?options=lock_timeout%3D1", "-c name=value"),
    ],
)
def test_what_is_wrong_is_told_without_the_password(url: str, told: str) -> None:
    """Each mistake has words that say how to put it right."""
    with pytest.raises(AldisError) as refused:
        parse_postgres_url(url)

    assert told in str(refused.value)
    assert SECRET not in str(refused.value)
