from typing import Any

import msgspec
import pytest

from aldis.domain.ids import UserId
from aldis.services.compose import Draft
from aldis.services.forget_drafts import without

BOB = UserId("bob")
CONTENT = b'{"type":"text","text":"bob"}'


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"to_user": "bob"}, None),
        ({"to_user": "alice", "from_user": "bob"}, None),
        ({"to_users": ("bob",)}, None),
        ({"to_users": ("alice", "bob", "carol")}, {"to_users": ("alice", "carol")}),
        ({"to_user": "alice", "channel": "bob", "client_id": "bob"}, {"to_user": "alice"}),
        ({"to_user": "bobby"}, {"to_user": "bobby"}),
    ],
)
def test_a_draft_goes_on_without_the_user(given: dict[str, Any], left: dict[str, Any] | None) -> None:
    """To him alone or in his name it goes; to several it goes on to the others; his name elsewhere says nothing."""
    draft = Draft(content=CONTENT, **given)

    changed = without(BOB, msgspec.json.encode(draft).decode())

    expected = Draft(content=CONTENT, **{**given, **left}) if left is not None else None
    assert (msgspec.json.decode(changed, type=Draft) if changed is not None else None) == expected


@pytest.mark.parametrize("to", [{"user": "bob"}, {"users": ["bob"]}])
def test_a_draft_in_the_form_of_a_call_is_understood_too(to: dict[str, Any]) -> None:
    """Whichever form the drafts are kept in, nobody who is erased is left in them."""
    assert without(BOB, msgspec.json.encode({"to": to, "content": {}}).decode()) is None
