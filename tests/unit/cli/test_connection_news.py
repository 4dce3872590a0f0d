import logging

import pytest

from aldis.cli.connection_news import CLIENT_LOG, ConnectionNews
from aldis_client import Cursor

CURSOR = Cursor.parse("epoch.e0.s0.be0.bs0.r0")
WELCOME = '{"id":1,"connect":{"user":"bob"}}'


def test_a_lost_connection_is_told_once_for_each_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """Minutes of trying do not fill the terminal, and the return is told too; the first welcome is not news."""
    news = ConnectionNews(is_first=False)
    log = logging.getLogger(CLIENT_LOG)

    news.on_frame(WELCOME)
    with news.from_log():
        for reason in ("shutdown", "refused", "refused", "refused"):
            log.info("connection ended, coming back: %s", reason)
        news.on_frame('{"source":"s","events":[{"text":"connect"}]}')
        news.on_frame(WELCOME)
        news.on_frame(WELCOME)
    log.info("nobody listens any more")

    assert capsys.readouterr().err.splitlines() == [
        "connection ended, coming back: shutdown",
        "connection ended, coming back: refused",
        "connected again",
    ]


@pytest.mark.parametrize("is_first", [True, False])
def test_a_new_beginning_is_told_to_those_who_had_one_before(
    *, is_first: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the very first start there is nothing that could be missing."""
    ConnectionNews(is_first=is_first).on_reset(CURSOR)

    assert ("from now on" in capsys.readouterr().err) is not is_first


def test_a_hostile_reason_is_told_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    """A server's words do not drive the terminal."""
    with ConnectionNews(is_first=False).from_log():
        logging.getLogger(CLIENT_LOG).warning("the server refused a frame: %s", "\x1b[2J\n")

    assert capsys.readouterr().err == "the server refused a frame: \\x1b[2J\\n\n"
