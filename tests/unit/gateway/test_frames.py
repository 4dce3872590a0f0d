import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldis.domain.content import MAX_CONTENT_BYTES
from aldis.domain.errors import CODES, Rejected, Unavailable
from aldis.domain.messages import Stored
from aldis.domain.streams import SOURCES, Batch, Event, Priority
from aldis.gateway import frames
from aldis.gateway.frames import MAX_EVENTS, MAX_FRAME_BYTES, BadFrame, RefusedCommand

SEND = {"to": {"user": "bob"}, "client_id": "c", "content": {"type": "text", "text": "hi"}}
DEEP = 50_000  # levels: more than any supported Python's parser goes down


def frame(**command: Any) -> bytes:
    return json.dumps({"id": 1, **command}).encode()


def refused(data: bytes) -> tuple[int | None, str, str | None]:
    with pytest.raises(RefusedCommand) as caught:
        frames.parse_command(data)
    return caught.value.command_id, caught.value.error.code, caught.value.error.field


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b"[]",
        b"1",
        b"null",
        b'"text"',
        b"{}{}",
        b'{"id":1,"ping":{}} x',
        b'{"id":1,"x":NaN}',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"\xff":1}',
        b'{"id":1,"send":{"\xff":1}}',
        b'{"id":1,"ping":{"a":"\xc3\x28"}}',
        b'{"id":"\xca(","ping":{}}',
        b'{"id":1,"ping":{"a":"\\ud800"}}',
        b'{"id":1,"ping":{"a":"\x00"}}',
        b"[" * DEEP,
        b'{"id":' + b"[" * DEEP,
        b'{"id":1,"ping":{"a":' + b"[" * DEEP + b"]" * DEEP + b"}}",
    ],
)
def test_what_is_not_one_json_object_is_a_bad_frame(data: bytes) -> None:
    """Bytes, other JSON, broken UTF-8 and bottomless nesting end the connection."""
    with pytest.raises(BadFrame):
        frames.parse_command(data)


@pytest.mark.parametrize(
    ("command", "code", "field"),
    [
        ({}, "unknown_command", None),
        ({"ping": None}, "unknown_command", None),
        ({"ping": {}, "pong": {}}, "unknown_command", None),
        ({"fly": {}}, "unknown_command", "fly"),
        ({"ping": 1}, "bad_request", "ping"),
        ({"connect": []}, "bad_request", "connect"),
        ({"connect": {"tokens": "x"}}, "unknown_field", "connect.tokens"),
        ({"connect": {"device": "d"}}, "bad_request", "connect.device"),
        ({"connect": {"device": {}}}, "bad_request", "connect.device.id"),
        ({"connect": {"device": {"id": 7}}}, "bad_request", "connect.device.id"),
        ({"connect": {"device": {"id": "d", "os": "x"}}}, "unknown_field", "connect.device.os"),
        ({"connect": {"cursor": 12}}, "bad_request", "connect.cursor"),
        ({"send": {}}, "bad_request", "send.to"),
        ({"send": {"to": {}}}, "bad_request", "send.content"),
        ({"send": {**SEND, "to": "bob"}}, "bad_request", "send.to"),
        ({"send": {**SEND, "to": {"user": ["bob"]}}}, "bad_request", "send.to.user"),
        ({"send": {**SEND, "to": {"user": "bob", "x": 1}}}, "unknown_field", "send.to.x"),
        ({"send": {**SEND, "content": {"text": "hi"}}}, "bad_request", "send.content.type"),
        ({"send": {**SEND, "content": {"type": "text", "text": 1}}}, "bad_request", "send.content.text"),
        ({"send": {**SEND, "content": {"type": "text", "html": ""}}}, "unknown_field", "send.content.html"),
        ({"send": {**SEND, "priority": "top"}}, "bad_request", "send.priority"),
        ({"send": {**SEND, "kind": "mail"}}, "bad_request", "send.kind"),
        ({"send": {**SEND, "expires_in": "9"}}, "bad_request", "send.expires_in"),
        ({"send": {**SEND, "expires_in": 1.5}}, "bad_request", "send.expires_in"),
        ({"send": {**SEND, "client_id": None}}, "bad_request", "send.client_id"),
        ({"send": {**SEND, "urgent": True}}, "unknown_field", "send.urgent"),
        ({"ack": {"x": 1}}, "unknown_field", "ack.x"),
        ({"ack": {"s": "1"}}, "bad_request", "ack.s"),
        ({"ack": {"s": True}}, "bad_request", "ack.s"),
        ({"read": {"seq": 1}}, "bad_request", "read.conversation_id"),
        ({"read": {"conversation_id": "c", "seq": 0.5}}, "bad_request", "read.seq"),
        ({"refresh": {}}, "bad_request", "refresh.token"),
        ({"refresh": {"token": 1}}, "bad_request", "refresh.token"),
    ],
)
def test_a_wrong_command_is_refused_with_its_path(command: dict[str, Any], code: str, field: str | None) -> None:
    """An object with something wrong in it is answered under its id and leaves the connection as it was."""
    assert refused(frame(**command)) == (1, code, field)


@pytest.mark.parametrize("given_id", ["one", 1.5, True, [1], {"a": 1}])
def test_an_id_that_is_no_number_cannot_be_answered_to(given_id: object) -> None:
    """The refusal names the id's field and goes without an id."""
    data = json.dumps({"id": given_id, "ping": {}}).encode()

    assert refused(data) == (None, "bad_request", "id")


def test_a_field_name_of_any_length_is_not_repeated_whole() -> None:
    """An error frame stays small whatever was sent."""
    _, code, field = refused(frame(send={**SEND, "x" * 60_000: 1}))

    assert code == "unknown_field"
    assert field is not None
    assert len(field) <= 300


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"from": {"user": "eve"}}, "forbidden_field", "send.from"),
        ({"push": {}}, "forbidden_field", "send.push"),
        ({"send_at": "2030-01-01T00:00:00Z"}, "forbidden_field", "send.send_at"),
        ({"to": {"users": ["bob"]}}, "forbidden_field", "send.to.users"),
        ({"to": {"channel": "news"}}, "forbidden_field", "send.to.channel"),
        ({"to": {}}, "bad_request", "send.to"),
        ({"to": {"user": "bob", "conversation": "c"}}, "bad_request", "send.to"),
        ({"content": {"type": "text"}}, "bad_request", "send.content"),
        ({"content": {"type": "text", "text": "a", "data": 1}}, "bad_request", "send.content"),
        ({"content": {"type": "json"}}, "bad_request", "send.content"),
        ({"content": {"type": "html", "text": "a"}}, "bad_request", "send.content"),
        ({"content": {"type": "media", "media_id": "m"}}, "bad_request", "send.content.type"),
        ({"content": {"type": "text", "text": ""}}, "bad_request", "send.content.text"),
        ({"content": {"type": "text", "text": "a\0b"}}, "bad_request", "send.content.text"),
        ({"content": {"type": "text", "text": "x" * MAX_CONTENT_BYTES}}, "too_large", "send.content.text"),
        ({"content": {"type": "json", "data": {"a": "\0"}}}, "bad_request", "send.content.data"),
        ({"content": {"type": "json", "data": json.loads("[" * 40 + "]" * 40)}}, "bad_request", "send.content.data"),
        ({"content": {"type": "json", "data": "x" * MAX_CONTENT_BYTES}}, "too_large", "send.content.data"),
    ],
)
def test_a_draft_is_refused_with_its_path(changes: dict[str, Any], code: str, field: str) -> None:
    """What a user may not set, and content that may not be, are named as they stand in the frame."""
    send = frames.parse_command(frame(send={**SEND, **changes})).send
    assert send is not None

    with pytest.raises(Rejected) as caught:
        frames.draft_of(send, content_bytes=MAX_CONTENT_BYTES)

    assert (caught.value.code, caught.value.field) == (code, field)


def test_a_draft_takes_the_limit_it_is_given() -> None:
    """The operator's limit holds on the socket as it does by REST."""
    send = frames.parse_command(frame(send={**SEND, "content": {"type": "text", "text": "x" * 200}})).send
    assert send is not None

    with pytest.raises(Rejected, match="at most 100"):
        frames.draft_of(send, content_bytes=100)


def test_a_draft_has_all_that_was_said() -> None:
    """Nothing of a send is lost on the way in."""
    said = {**SEND, "priority": "high", "reply_to": "m", "expires_in": 60, "channel": "chat", "kind": "chat"}
    send = frames.parse_command(frame(send=said)).send
    assert send is not None

    draft = frames.draft_of(send, content_bytes=MAX_CONTENT_BYTES)

    assert (draft.to_user, draft.client_id, draft.reply_to, draft.expires_in) == ("bob", "c", "m", 60)
    assert (draft.priority, draft.channel, draft.kind) == (Priority.HIGH, "chat", "chat")
    assert json.loads(draft.content) == {"type": "text", "text": "hi"}


@pytest.mark.parametrize(
    ("ack", "code", "field"),
    [
        ({}, "bad_request", "ack"),
        ({"e": -1}, "bad_cursor", "ack.e"),
        ({"s": 2**53}, "bad_cursor", "ack.s"),
        ({"r": 10**30}, "bad_cursor", "ack.r"),
    ],
)
def test_an_ack_names_positions(ack: dict[str, int], code: str, field: str) -> None:
    """At least one, and each one that JSON readers can hold."""
    body = frames.parse_command(frame(ack=ack)).ack
    assert body is not None

    with pytest.raises(Rejected) as caught:
        frames.positions_of(body)

    assert (caught.value.code, caught.value.field) == (code, field)


@given(st.dictionaries(st.sampled_from(SOURCES), st.integers(0, 2**53 - 1), min_size=1))
def test_positions_come_back_as_they_were_given(positions: dict[str, int]) -> None:
    """Every set of positions that a client may confirm is read as it stands."""
    body = frames.parse_command(json.dumps({"ack": positions}).encode()).ack
    assert body is not None

    assert frames.positions_of(body) == positions


def code_of(data: bytes) -> str | None:
    """What a frame is refused with, None when it is a command."""
    try:
        frames.parse_command(data)
    except BadFrame:
        return "bad_json"
    except RefusedCommand as refusal:
        return refusal.error.code
    return None


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from(list(SEND)), inner),
    max_leaves=8,
).map(lambda value: json.dumps({"id": 1, "send": value, "ack": value}).encode()))  # fmt: skip
def test_any_bytes_are_a_command_or_one_of_two_errors(data: bytes) -> None:
    """Nothing else is ever raised, and every refusal has a documented code."""
    assert code_of(data) in {None, "bad_json", *CODES}


# -- events -----------------------------------------------------------------------------------------------------------


def events_of(sizes: list[int], first: int = 1) -> list[Event]:
    return [Event(first + index, b'"type":"t","t":"%b"}' % (b"x" * size)) for index, size in enumerate(sizes)]


@given(st.lists(st.integers(0, 12_000) | st.sampled_from([0, MAX_FRAME_BYTES, 70_000]), max_size=60), st.booleans())
def test_split_events_keeps_all_in_order_and_each_part_in_bounds(sizes: list[int], as_tuple: bool) -> None:
    """Parts put together are what was given; none is empty, too long or, unless it is one event, too large."""
    events = events_of(sizes)

    parts = frames.split_events(tuple(events) if as_tuple else events)

    assert [event for part in parts for event in part] == events
    for part in parts:
        assert 1 <= len(part) <= MAX_EVENTS
        assert len(part) == 1 or sum(len(event.body) for event in part) <= MAX_FRAME_BYTES


@given(st.lists(st.integers(0, 12_000), min_size=2, max_size=60))
def test_split_events_makes_no_more_parts_than_needed(sizes: list[int]) -> None:
    """What begins a part would not have fitted into the one before."""
    parts = frames.split_events(events_of(sizes))

    for part, following in pairwise(parts):
        size = sum(len(event.body) for event in part) + len(following[0].body)
        assert len(part) == MAX_EVENTS or size > MAX_FRAME_BYTES


def test_split_events_cuts_many_small_ones_by_number() -> None:
    """At most 200 events a frame."""
    assert [len(part) for part in frames.split_events(events_of([0] * 450))] == [200, 200, 50]


def test_an_events_frame_is_as_the_contract_shows_it() -> None:
    """One source, each event with its position before what it is."""
    parsed = json.loads(frames.events_frame("be", events_of([1, 2], first=7)))

    assert parsed == {
        "source": "be",
        "events": [{"pos": 7, "type": "t", "t": "x"}, {"pos": 8, "type": "t", "t": "xx"}],
    }


def test_a_batch_becomes_the_frames_of_its_parts() -> None:
    """Each part comes with the bytes that say the same."""
    batch = Batch(user=msgspec.convert("bob", str), source="s", events=tuple(events_of([0] * 250)))  # type: ignore[arg-type]

    for part, payload in frames.batch_frames(batch):
        assert [event["pos"] for event in json.loads(payload)["events"]] == [event.pos for event in part]


# -- replies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command_id", [1, 0, -5, 2**63, 10**30])
def test_a_reply_repeats_its_id(command_id: int) -> None:
    """Whatever number the client chose."""
    assert json.loads(frames.reply(command_id, "read", {"unread": 0}))["id"] == command_id
    assert json.loads(frames.error_frame(command_id, Rejected("bad_request", "no")))["id"] == command_id


def test_news_have_no_id() -> None:
    """A server frame without id is news: the error of a command that had none, and the disconnect."""
    assert set(json.loads(frames.error_frame(None, Rejected("bad_json", "no")))) == {"error"}
    assert set(json.loads(frames.disconnect_frame(4001, "shutdown", reconnect=True, after_ms=1))) == {"disconnect"}


@pytest.mark.parametrize("code", sorted(CODES))
def test_an_error_frame_has_the_five_fields(code: str) -> None:
    """Code, message, field, whether and when it may be repeated; always all of them."""
    error = json.loads(frames.error_frame(3, Rejected(code, "words", field="send.to", retry_after_ms=5)))["error"]

    assert error == {"code": code, "message": "words", "field": "send.to", "retryable": True, "retry_after_ms": 5}


def test_an_unavailable_service_says_that_it_can_be_asked_again() -> None:
    """The outcome may be unknown; the same client id is safe later."""
    error = json.loads(frames.error_frame(None, Unavailable("not now", retry_after_ms=250)))["error"]

    assert (error["code"], error["retryable"], error["retry_after_ms"]) == ("unavailable", True, 250)


def test_the_answer_to_a_send_says_where_the_message_is() -> None:
    """Its id, its place and its time, and whether it had been there."""
    stored = Stored("m", "c", 7, duplicate=True)  # type: ignore[arg-type]

    assert json.loads(frames.sent_reply(2, stored, 1_700_000_000_123)) == {
        "id": 2,
        "send": {
            "message_id": "m",
            "conversation_id": "c",
            "seq": 7,
            "created_at": "2023-11-14T22:13:20.123Z",
            "duplicate": True,
        },
    }
