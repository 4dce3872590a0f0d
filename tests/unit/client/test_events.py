from typing import Any

import pytest

from aldis_client.events import BadFrame, parse_ephemeral, parse_events

RECEIPT = {"conversation_id": "c", "user": "bob", "read_seq": 4}


def test_events_keep_the_order_of_their_frame() -> None:
    """Each has its source and position, and its body without them."""
    first, second = parse_events("s", [{"pos": 1, "type": "message", "message": {"id": "m"}}, {"pos": 2, "type": "x"}])

    assert (first.source, first.position, first.message) == ("s", 1, {"id": "m"})
    assert (second.position, second.type, second.body) == (2, "x", {})


@pytest.mark.parametrize(
    "row", [{"pos": 1, "type": "receipt", **RECEIPT}, {"pos": 1, "type": "receipt", "receipt": RECEIPT}]
)
def test_a_state_reads_the_same_nested_or_not(row: dict[str, Any]) -> None:
    """An application asks for the payload and need not know how it is wrapped."""
    (event,) = parse_events("r", [row])

    assert event.payload == RECEIPT
    assert event.state_key == "receipt:c:bob"


def test_ephemeral_events_have_no_place() -> None:
    """Typing and presence have no position, and say so."""
    (event,) = parse_ephemeral([{"type": "typing", "user": "bob"}])

    assert event.is_ephemeral
    assert event.payload == {"user": "bob"}


@pytest.mark.parametrize("rows", [[{"type": "message"}], [{"pos": 1}], [{"pos": "x", "type": "message"}], [3], None])
def test_an_event_without_position_or_type_is_a_bad_frame(rows: Any) -> None:
    """It cannot be applied, so the connection it came on is of no use."""
    with pytest.raises(BadFrame):
        parse_events("s", rows)
