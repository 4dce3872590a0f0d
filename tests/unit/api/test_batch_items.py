"""A batch is read as its messages would be read alone; what is wrong with one is said of that one."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aldis.api import batch_items
from aldis.api.batch_items import in_place, parse_batch
from aldis.api.dependencies import RequestLimits
from aldis.domain.errors import Rejected, Unavailable
from aldis.services.compose import Draft

LIMITS = RequestLimits(content_bytes=200, recipients=3)
TEXT = {"type": "text", "text": "hi"}
GOOD = {"to": {"user": "bob"}, "client_id": "c", "content": TEXT}
UUID = "cb34a305-abac-53fa-a529-60729706242a"


def batch(*messages: Any) -> bytes:
    return json.dumps({"messages": messages}).encode()


def read(body: bytes, key: str | None = None) -> list[Draft | Rejected]:
    return parse_batch(body, request_key=key, limits=LIMITS)


def codes(drafts: list[Draft | Rejected]) -> list[tuple[str, str | None] | None]:
    """Of each message what is wrong with it."""
    return [(draft.code, draft.field) if isinstance(draft, Rejected) else None for draft in drafts]


def refusal(body: bytes) -> tuple[str, str | None]:
    with pytest.raises(Rejected) as refused:
        read(body)
    return refused.value.code, refused.value.field


def test_messages_are_read_in_their_order() -> None:
    """With all that can be said of one."""
    full = {
        "to": {"users": ["bob", "carol"]},
        "kind": "notification",
        "channel": "news",
        "content": {"type": "json", "data": {"b": [1, None, 1.5], "a": "\u65e5"}},
        "priority": "high",
        "expires_in": 60,
        "reply_to": UUID,
        "client_id": "c2",
        "send_at": "2026-11-24T08:00:00Z",
    }

    first, second, third = read(batch(GOOD, full, {**GOOD, "from": {"user": "alice"}}))

    assert first == Draft(to_user="bob", client_id="c", content=b'{"type":"text","text":"hi"}')
    assert isinstance(second, Draft)
    assert (second.to_users, second.kind, second.priority) == (("bob", "carol"), "notification", "high")
    assert second.content == '{"type":"json","data":{"b":[1,null,1.5],"a":"日"}}'.encode()
    assert (second.expires_in, second.reply_to, second.send_at) == (60, UUID, 1795507200000)
    assert isinstance(third, Draft)
    assert third.from_user == "alice"


def test_what_is_wrong_with_one_leaves_the_others() -> None:
    """Each has its own error."""
    wrong = [
        {**GOOD, "content": {"type": "text", "text": 5}},
        {**GOOD, "colour": "red"},
        5,
        {"to": {"user": "bob"}, "content": TEXT},
        {**GOOD, "to": {"users": ["a", "b", "c", "d"]}},
        {**GOOD, "content": {"type": "text", "text": "x" * 200}},
        {**GOOD, "send_at": "tomorrow"},
    ]

    drafts = read(batch(GOOD, *wrong, GOOD))

    assert codes(drafts) == [
        None,
        ("bad_request", "content.text"),
        ("unknown_field", "colour"),
        ("bad_request", ""),
        ("bad_request", "client_id"),
        ("too_large", "to.users"),
        ("too_large", "content.text"),
        ("bad_request", "send_at"),
        None,
    ]


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        (b'"\\ud83d"', ("bad_request", "content.text")),
        (b'"\xff"', ("bad_json", "")),
        (b"NaN", ("bad_request", "content.text")),
    ],
)
def test_a_text_that_no_reader_should_take_spoils_one_message(broken: bytes, field: tuple[str, str]) -> None:
    """Half a character as telephones cut it off, bytes that are no UTF-8, a number that JSON does not know."""
    body = batch(GOOD, {**GOOD, "content": {"type": "text", "text": "BROKEN"}}, GOOD).replace(b'"BROKEN"', broken)

    assert codes(read(body)) == [None, field, None]


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b"", "bad_json", None),
        (b"{", "bad_json", None),
        (b"[]", "bad_json", None),
        (b"5", "bad_json", None),
        (b'{"messages":[{]}', "bad_json", None),
        (b'{"a":' * 2000, "bad_json", None),
        (b'{"messages":[' + b"[" * 100_000, "bad_json", None),
        (b"{}", "bad_request", "messages"),
        (b'{"messages":null}', "bad_request", "messages"),
        (b'{"messages":5}', "bad_request", "messages"),
        (b'{"messages":{}}', "bad_request", "messages"),
        (b'{"messages":[]}', "bad_request", "messages"),
        (b'{"messages":[],"dry_run":true}', "unknown_field", "dry_run"),
        (b'{"messages":[NaN],"dry_run":true}', "unknown_field", "dry_run"),
        (batch(*[GOOD] * 1001), "too_large", "messages"),
        (batch(*[5] * 1001), "too_large", "messages"),
        (b'{"messages":[NaN],"x":"' + b"y" * batch_items.MAX_ODD_BYTES + b'"}', "bad_json", None),
    ],
)
def test_a_wrong_batch_is_refused_whole(body: bytes, code: str, field: str | None) -> None:
    """Nothing in it can be told apart, or there is too much of it."""
    assert refusal(body) == (code, field)


def test_a_thousand_are_taken() -> None:
    """That many, and not one more."""
    assert codes(read(batch(*[GOOD] * 1000))) == [None] * 1000


def test_a_request_key_is_one_for_each_place() -> None:
    """Each with the fingerprint of its own message."""
    first, second, third = read(batch(GOOD, GOOD, {**GOOD, "content": {"type": "text", "text": "ho"}}), "k")

    assert isinstance(first, Draft)
    assert isinstance(second, Draft)
    assert isinstance(third, Draft)
    assert [draft.request_key for draft in (first, second, third)] == ["k:0", "k:1", "k:2"]
    assert first.fingerprint == second.fingerprint != third.fingerprint


def test_a_field_is_named_by_its_place_in_the_batch() -> None:
    """A header is not in it; what is ours has no field."""
    fields = [
        in_place(error, 3).field
        for error in (
            Rejected("bad_request", "", field="content.text"),
            Rejected("bad_request", "", field=""),
            Rejected("forbidden", ""),
            Rejected("idempotency_mismatch", "", field="Idempotency-Key"),
            Unavailable("later"),
        )
    ]

    assert fields == ["messages.3.content.text", "messages.3", None, "Idempotency-Key", None]


def test_a_wait_stays_with_its_error() -> None:
    """A refusal that can be repeated says when."""
    told = in_place(Rejected("rate_limited", "slow", field="channel", retry_after_ms=7), 0)

    assert (told.field, told.retry_after_ms) == ("messages.0.channel", 7)


SCALARS: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, 1, 60, 60.0, 1.5, 10**30, "", "bob", "a b", "bob\n", "x" * 129, UUID, UUID.upper(), "text",
     "json", "chat", "high", "asap", "2026-11-24T08:00:00Z", "2026-11-24", "\u0000", "\u0085", "日", [], {}, ["bob"],
     ["bob", 5], ["a", "b", "c", "d"], {"user": "bob"}, {"user": 5}, {"user": "bob", "cc": "x"},
     {"users": ["bob", "x y"]}, {"users": []}, {"channel": "news"}, {"conversation": UUID},
     {"user": "a", "channel": "b"}, TEXT, {"type": "json", "data": None}, {"type": "json"}, {"type": "media"},
     {"type": "text", "text": "x" * 190},
     {"type": "json", "data": {"k": [10**30, 1e308, -0.0, "\u0000"]}}, {"type": "text", "text": "hi", "data": 1},
     {"text": "hi"}]
)  # fmt: skip
NAMES = ["to", "content", "kind", "channel", "from", "priority", "expires_in", "reply_to", "client_id", "send_at"]


@given(st.lists(st.dictionaries(st.sampled_from([*NAMES, "push", "colour"]), SCALARS, max_size=3), max_size=4))
@settings(max_examples=300)
def test_both_ways_to_read_say_the_same(changes: list[dict[str, Any]]) -> None:
    """The fast one takes nothing that the other refuses, and makes the same draft of what it takes."""
    messages = [GOOD, *({**GOOD, **change} for change in changes)]

    at_once = read(batch(*messages))
    one_by_one = [batch_items._read_again(message, None, LIMITS) for message in messages]

    assert codes(at_once) == codes(one_by_one)
    assert [d for d in at_once if isinstance(d, Draft)] == [d for d in one_by_one if isinstance(d, Draft)]


@given(st.dictionaries(st.sampled_from(NAMES), SCALARS, min_size=1, max_size=3))
@settings(max_examples=300)
def test_what_is_fast_is_right(change: dict[str, Any]) -> None:
    """What msgspec takes by itself, the other way takes too."""
    body = batch({**GOOD, **change})
    items = batch_items._decode_all(body)
    draft = batch_items._read(items[0], LIMITS) if items is not None else None

    if draft is not None:
        assert draft == batch_items._read_again(json.loads(body)["messages"][0], None, LIMITS)
