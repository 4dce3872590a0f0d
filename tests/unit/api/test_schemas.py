from typing import Any

import pytest
from pydantic import ValidationError

from aldis.api.errors import from_validation
from aldis.api.schemas import AckBody, HistoryQuery, SendBody
from aldis.domain.errors import Rejected

TEXT = {"type": "text", "text": "hi"}


def refusal_of(body: Any) -> Rejected:
    with pytest.raises(ValidationError) as refused:
        SendBody.model_validate(body)
    return from_validation([{**mistake, "loc": ("body", *mistake["loc"])} for mistake in refused.value.errors()])


def test_a_whole_send_is_taken() -> None:
    """All fields of the contract that work so far."""
    body = SendBody.model_validate(
        {
            "to": {"users": ["bob", "carol"]},
            "kind": "chat",
            "channel": "chat",
            "from": {"user": "alice"},
            "content": {"type": "json", "data": {"a": [1, None]}},
            "priority": "high",
            "expires_in": 60,
            "client_id": "c-1",
        }
    )

    assert body.from_ is not None
    assert (body.from_.user, body.to.users) == ("alice", ["bob", "carol"])


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"to": {"user": "bob"}, "content": TEXT, "colour": 1}, "unknown_field", "colour"),
        ({"to": {"user": "bob", "cc": "x"}, "content": TEXT}, "unknown_field", "to.cc"),
        ({"to": {"user": "bob"}, "content": {**TEXT, "size": 1}}, "unknown_field", "content.size"),
        ({"to": {"user": "bob"}, "content": {"type": "text"}}, "bad_request", "content.text"),
        ({"to": {"user": "bob"}, "content": {"type": "json"}}, "bad_request", "content.data"),
        ({"to": {"user": "bob"}, "content": {"type": "media", "media_id": "m"}}, "bad_request", "content.type"),
        ({"to": {"user": "bob"}, "content": {"text": "hi"}}, "bad_request", "content.type"),
        ({"to": {"user": "bob"}, "content": "hi"}, "bad_request", "content"),
        ({"to": {"user": "bob"}, "content": {"type": "text", "text": 5}}, "bad_request", "content.text"),
        ({"to": {}, "content": TEXT}, "bad_request", "to"),
        ({"to": {"user": "bob", "users": ["carol"]}, "content": TEXT}, "bad_request", "to"),
        ({"to": {"users": []}, "content": TEXT}, "bad_request", "to.users"),
        ({"to": {"users": ["bob", "not a name"]}, "content": TEXT}, "bad_request", "to.users.1"),
        ({"to": {"user": "bob\n"}, "content": TEXT}, "bad_request", "to.user"),
        ({"to": {"user": 5}, "content": TEXT}, "bad_request", "to.user"),
        ({"to": {"conversation": "c1"}, "content": TEXT}, "bad_request", "to.conversation"),
        ({"to": {"channel": "a b"}, "content": TEXT}, "bad_request", "to.channel"),
        ({"to": {"channel": "news", "user": "bob"}, "content": TEXT}, "bad_request", "to"),
        ({"to": {"user": "bob"}, "content": TEXT, "send_at": 1_800_000_000}, "bad_request", "send_at"),
        ({"to": {"user": "bob"}, "content": TEXT, "push": {"title": "x"}}, "bad_request", "push"),
        ({"to": {"user": "bob"}, "content": TEXT, "kind": "broadcast"}, "bad_request", "kind"),
        ({"to": {"user": "bob"}, "content": TEXT, "priority": "asap"}, "bad_request", "priority"),
        ({"to": {"user": "bob"}, "content": TEXT, "expires_in": "60"}, "bad_request", "expires_in"),
        ({"to": {"user": "bob"}, "content": TEXT, "expires_in": 0}, "bad_request", "expires_in"),
        ({"to": {"user": "bob"}, "content": TEXT, "expires_in": True}, "bad_request", "expires_in"),
        ({"to": {"user": "bob"}, "content": TEXT, "client_id": ""}, "bad_request", "client_id"),
        ({"to": {"user": "bob"}, "content": TEXT, "client_id": "\x00"}, "bad_request", "client_id"),
        ({"to": {"user": "bob"}, "content": TEXT, "client_id": "\ud800"}, "bad_request", "client_id"),
        ({"to": {"user": "bob"}, "content": TEXT, "client_id": "x" * 129}, "bad_request", "client_id"),
        ({"to": {"user": "bob"}, "content": TEXT, "from": {"backend": "x"}}, "bad_request", "from.user"),
        ({"content": TEXT}, "bad_request", "to"),
        ([], "bad_json", None),
    ],
)
def test_a_wrong_send_is_refused_with_its_path(body: object, code: str, field: str | None) -> None:
    """Whoever reads the answer knows which field to change."""
    refusal = refusal_of(body)

    assert (refusal.code, refusal.field) == (code, field)


@pytest.mark.parametrize("body", [{"s": -1}, {"s": 2**53}, {"s": "1"}, {"s": 1.5}, {"s": True}, {"x": 1}])
def test_a_position_is_a_whole_number_that_every_reader_can_hold(body: dict[str, Any]) -> None:
    """Positions of known sources, from 0 to 2^53 - 1."""
    with pytest.raises(ValidationError):
        AckBody.model_validate(body)


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "201"}, {"before": "1", "after": "1"}, {"before": "-1"}, {"befor": "1"}]
)
def test_a_page_is_asked_for_in_one_way(query: dict[str, str]) -> None:
    """At most 200 items, one place, no unknown parameters."""
    with pytest.raises(ValidationError):
        HistoryQuery.model_validate(query)
