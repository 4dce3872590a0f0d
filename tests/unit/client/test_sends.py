from typing import Any
from uuid import UUID

import pytest

from aldis_client.events import BadFrame
from aldis_client.sends import build_send, parse_result

ANSWER = {
    "message_id": "m",
    "conversation_id": "c",
    "seq": 7,
    "created_at": "2026-01-02T03:04:05.678Z",
    "duplicate": False,
}


def test_a_send_gets_a_client_id() -> None:
    """Without one of the caller's it is random, so that a repeat can be told from a new message."""
    first, second = (build_send(to_user="bob", text="hi")["client_id"] for _ in range(2))

    assert UUID(first).version == 4
    assert first != second


def test_a_send_says_what_was_given_and_no_more() -> None:
    """Fields that were left out are not on the wire: a user may not even name some of them."""
    assert build_send(
        to_conversation="c", json={"a": 1}, client_id="x", priority="high", reply_to="m", expires_in=60
    ) == {
        "to": {"conversation": "c"},
        "client_id": "x",
        "content": {"type": "json", "data": {"a": 1}},
        "priority": "high",
        "reply_to": "m",
        "expires_in": 60,
    }
    assert set(build_send(to_user="bob", text="hi")) == {"to", "client_id", "content", "priority"}


@pytest.mark.parametrize(
    "arguments",
    [
        {"text": "hi"},
        {"to_user": "bob"},
        {"to_user": "bob", "to_conversation": "c", "text": "hi"},
        {"to_user": "bob", "text": "hi", "json": {}},
        {"to_user": "bob", "text": "hi", "content": {"type": "text", "text": "hi"}},
    ],
)
def test_one_recipient_and_one_content(arguments: dict[str, Any]) -> None:
    """What the server would refuse is refused here, before it waits in the outbox."""
    with pytest.raises(ValueError, match="one only"):
        build_send(**arguments)


def test_an_answer_is_read() -> None:
    """The time is a time, and knows its zone."""
    result = parse_result(ANSWER)

    assert (result.message_id, result.seq, result.duplicate) == ("m", 7, False)
    assert result.created_at.isoformat() == "2026-01-02T03:04:05.678000+00:00"


@pytest.mark.parametrize("field", sorted(ANSWER))
def test_an_answer_without_a_field_is_a_bad_frame(field: str) -> None:
    """The contract promises all five."""
    with pytest.raises(BadFrame):
        parse_result({name: value for name, value in ANSWER.items() if name != field})
