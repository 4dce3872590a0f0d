from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldis.cli.rendering import render_event, render_message, to_json
from aldis.cli.terminal import paint_coloured, paint_plain
from aldis_client import Event

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def message(**fields: Any) -> dict[str, Any]:
    return {
        "kind": "chat",
        "channel": "chat",
        "sender": {"user": "alice"},
        "content": {"type": "text", "text": "hi"},
        "gone": None,
        "priority": "normal",
        "created_at": "2026-11-24T08:00:00.123Z",
        **fields,
    }


def line(type_: str = "message", **fields: Any) -> str:
    return render_message(message(**fields), type_, paint=paint_plain, zone=UTC)


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, "chat  alice: hi"),
        ({"channel": "support"}, "chat/support  alice: hi"),
        (
            {"kind": "notification", "channel": "orders", "sender": {"backend": "shop"}},
            "notification/orders  backend shop: hi",
        ),
        ({"priority": "urgent"}, "chat  alice [urgent]: hi"),
        ({"content": {"type": "json", "data": {"a": [1, 2]}}}, 'chat  alice: {"a":[1,2]}'),
        (
            {"content": {"type": "media", "media_id": "m", "name": "cat.png", "caption": "Tom"}},
            "chat  alice: [media] cat.png Tom",
        ),
        ({"content": None, "gone": "expired"}, "chat  alice: [expired]"),
        ({"content": {"type": "poll", "q": 1}}, 'chat  alice: {"type":"poll","q":1}'),
        ({"sender": None}, "chat  ?: hi"),
    ],
)
def test_a_line_tells_time_conversation_sender_and_text(fields: dict[str, Any], shown: str) -> None:
    """Each kind of message has its line."""
    assert line(**fields) == f"2026-11-24 08:00:00  {shown}"


def test_a_changed_message_says_so() -> None:
    """An edit and a deletion are news of their own, and who comes later sees what became of it."""
    edited = {"edited_at": "2026-11-24T08:05:00.000Z"}

    assert line("message.edited", **edited).endswith("08:00:00  chat  alice [edited]: hi")
    assert line("message", **edited).endswith("alice [edited]: hi")
    assert line("message.edited", content=None, gone="deleted").endswith("alice: [deleted]")
    assert line("message.deleted", content=None, gone="deleted").endswith("alice: [deleted]")
    assert line("message.deleted", content=None, gone="purged").endswith("alice: [purged]")


def test_times_are_the_readers_own() -> None:
    """A message shows when it was sent on the reader's clock, and what is no time as it came."""
    east = timezone(timedelta(hours=9))

    assert render_message(message(), "message", paint=paint_plain, zone=east).startswith("2026-11-24 17:00:00  ")
    assert line(created_at="soon").startswith("soon  ")


@pytest.mark.parametrize(
    "fields",
    [
        {"content": {"type": "text", "text": "\x1b]0;owned\x07\nalice: me"}},
        {"content": {"type": "json", "data": {"\x9b": "\x1b\u202e"}}},
        {"content": {"type": "media", "name": "\x1b[2J", "caption": "\r"}},
        {"sender": {"user": "\x1b[2J"}},
        {"sender": {"backend": "\nx"}},
        {"kind": "\x1b[2J", "channel": "\n"},
        {"created_at": "\x1b[2J"},
        {"gone": "\x1b[2J", "content": None},
    ],
)
def test_no_part_of_a_message_drives_the_terminal(fields: dict[str, Any]) -> None:
    """Whatever a hostile sender or server writes is on one line, as text."""
    assert line(**fields).isprintable()


@given(st.text(), st.text())
def test_no_text_drives_the_terminal(text: str, sender: str) -> None:
    """The same for all texts: one line, and no escape but those of our own colours."""
    shown = render_message(
        message(content={"type": "text", "text": text}, sender={"user": sender}),
        "message",
        paint=paint_coloured,
        zone=UTC,
    )

    assert len(shown.splitlines()) == 1
    assert shown.count("\x1b") == 4


def test_other_news_is_told_in_its_own_words() -> None:
    """A receipt shows when it came and what it says, dimly."""
    event = Event("r", 17, "receipt", {"receipt": {"user": "bob", "read_seq": 7}})

    assert (
        render_event(event, paint=paint_plain, now=NOW) == '2026-11-24 09:30:00  receipt  {"user":"bob","read_seq":7}'
    )
    assert render_event(event, paint=paint_coloured, now=NOW).startswith("\x1b[2m")


def test_programs_get_the_protocols_own_shape() -> None:
    """With `--json` an event is what stood in the frame, and the source it came from."""
    event = Event("s", 151, "message", {"message": message()})

    assert to_json(event) == {"source": "s", "pos": 151, "type": "message", "message": message()}


def test_typing_and_presence_have_no_place_for_programs() -> None:
    """They come without source and position, and go out without."""
    event = Event("", 0, "presence", {"user": "bob", "online": True})

    assert to_json(event) == {"type": "presence", "user": "bob", "online": True}
    assert render_event(event, paint=paint_plain, now=NOW) == (
        '2026-11-24 09:30:00  presence  {"user":"bob","online":true}'
    )


@pytest.mark.parametrize(
    "body", [{}, {"message": None}, {"message": {}}, {"message": {"content": 7, "sender": 7}}, {"x\x1b": ["\n"]}]
)
@pytest.mark.parametrize("type_", ["poll.opened", "message", "message.pinned", "\x1b"])
def test_news_of_a_later_server_is_one_line(type_: str, body: dict[str, Any]) -> None:
    """Whatever its type and its shape, it is shown as it came and harmless."""
    assert render_event(Event("bs", 9, type_, body), paint=paint_plain, now=NOW).isprintable()
