import uuid
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldis.domain.errors import Rejected
from aldis.domain.ids import check_name, check_uuid, conversation_id, created_ms, first_id_at, new_id, rfc3339

milliseconds = st.integers(0, 2**48 - 1)


@given(milliseconds)
def test_an_id_is_a_uuid_of_its_millisecond(ms: int) -> None:
    """RFC 9562: version 7, variant 2, the time in the first 48 bits; and our own check takes it."""
    parsed = uuid.UUID(identifier := new_id(ms))

    assert (str(parsed), parsed.version, parsed.variant) == (identifier, 7, uuid.RFC_4122)
    assert created_ms(identifier) == ms == parsed.int >> 80
    assert check_uuid(identifier, "id") == identifier


@given(milliseconds, milliseconds)
def test_ids_sort_by_their_time(one: int, two: int) -> None:
    """The text of an earlier millisecond is lower; `first_id_at` is at or below all of its millisecond."""
    if one < two:
        assert new_id(one) < first_id_at(two) <= new_id(two)
    assert created_ms(first_id_at(one)) == one


def test_ids_of_one_millisecond_differ() -> None:
    """Seventy-four random bits keep them apart."""
    assert len({new_id(1) for _ in range(1000)}) == 1000


@given(
    st.text(st.characters(codec="ascii", categories=["L", "N"], include_characters="._:@-"), min_size=1, max_size=128)
)
def test_callers_ids_are_taken_as_they_are(name: str) -> None:
    """Letters, digits and `._:@-`, up to 128 of them."""
    assert check_name(name, "user") == name


@pytest.mark.parametrize("name", ["", "a" * 129, "a b", "ä", "a\n", "a/b", "\0", "a,b", "٣"])
def test_other_names_are_refused(name: str) -> None:
    """The refusal names the field."""
    with pytest.raises(Rejected) as refused:
        check_name(name, "device.id")

    assert (refused.value.code, refused.value.field) == ("bad_request", "device.id")


@pytest.mark.parametrize("text", ["", "x" * 36, "0190A0B0-0000-7000-8000-000000000000", "{0190a0b0}", "\n" * 36])
def test_what_is_no_uuid_is_refused(text: str) -> None:
    """Only the one lower-case form is an id."""
    with pytest.raises(Rejected):
        check_uuid(text, "message_id")


@given(st.lists(st.text(max_size=5), min_size=1, max_size=4), st.randoms())
def test_a_conversation_is_named_by_its_members_in_any_order(members: list[str], dice: Random) -> None:
    """Order and repetition do not matter."""
    shuffled = [*members, members[0]]
    dice.shuffle(shuffled)

    assert conversation_id("chat", "c", shuffled) == conversation_id("chat", "c", members)


@given(st.sets(st.text(max_size=3), min_size=1, max_size=3), st.sets(st.text(max_size=3), min_size=1, max_size=3))
def test_other_members_kinds_and_channels_are_other_conversations(one: set[str], two: set[str]) -> None:
    """No choice of names makes two conversations one."""
    assert (conversation_id("chat", "c", one) == conversation_id("chat", "c", two)) == (one == two)
    assert conversation_id("chat", "c", one) != conversation_id("notification", "c", one)
    assert conversation_id("chat", "c", one) != conversation_id("chat", "d", one)


@pytest.mark.parametrize(
    ("ms", "text"), [(0, "1970-01-01T00:00:00.000Z"), (1_795_507_200_007, "2026-11-24T08:00:00.007Z")]
)
def test_times_are_written_in_utc_with_milliseconds(ms: int, text: str) -> None:
    """RFC 3339, always with three digits and Z."""
    assert rfc3339(ms) == text
