"""One schema of a channel's `spec`: what `parse_channel` takes, what `spec_of` gives, and what REST describes."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from aldis.domain.channels import Channel
from aldis.domain.errors import Rejected
from aldis.services.apply_channel import NOT_USED_YET, parse_channel
from aldis.services.channel_schema import channel_schema
from aldis.services.channel_spec import spec_of
from described import rest_document
from unit.channels import channels

SCHEMA = channel_schema()
VALID = Draft202012Validator(SCHEMA)
BEYOND = ("audience", "history", "chat", "delivery.timeToLive", "delivery.backoff.")  # of two fields, or of time


@given(channels())
def test_what_is_told_of_a_channel_fits_the_schema(channel: Channel) -> None:
    """It can be sent back as it is, and is read as the same channel."""
    spec = spec_of(channel)

    VALID.validate(spec)
    assert parse_channel(spec, name="some").channel == channel


def described_specs() -> st.SearchStrategy[Any]:
    """Anything that the description of REST allows."""
    operation = schemathesis.openapi.from_dict(rest_document())["/v1/admin/channels/{name}"]["PUT"]
    cases = operation.as_strategy(schemathesis.GenerationMode.POSITIVE)
    return cases.map(lambda case: whole(case.body))


def refusal_of(spec: Any) -> Rejected | None:
    """Why a spec is not taken; None when it is."""
    try:
        parse_channel(spec, name="some")
    except Rejected as error:
        return error
    return None


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.deferred(described_specs))
def test_what_fits_the_schema_is_taken(spec: dict[str, Any]) -> None:
    """Unless two of its fields do not go together, or a time is out of bounds: that is said with its field."""
    refusal = refusal_of(spec)

    assert refusal is None or (refusal.field or "").startswith(BEYOND), refusal


def whole(value: Any) -> Any:
    """Whole numbers without a point, as writers of JSON have them."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: whole(part) for key, part in value.items()}
    return [whole(part) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    "change",
    [
        {"colour": 1},
        {"type": "Mail"},
        {"type": None},
        {"displayName": "x" * 201},
        {"delivery": {"priority": "asap"}},
        {"delivery": {"timeToLive": "1 day"}},
        {"delivery": {"maxAttempts": 0}},
        {"delivery": {"maxAttempts": 51}},
        {"delivery": {"backoff": {"factor": 11}}},
        {"delivery": {"backoff": {"jitter": True}}},
        {"limits": {"messagesPerSecond": 0}},
        {"limits": {"maxContentBytes": "1k"}},
        {"type": "Broadcast", "audience": "Nobody"},
        {"type": "Chat", "chat": {"who": "Agents", "agents": ["a b"]}},
        {"type": "Chat", "chat": {"who": "Agents", "agents": [""]}},
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(change: dict[str, Any]) -> None:
    """By the schema and by us alike."""
    spec = {"type": "Notification", **change}

    assert not VALID.is_valid(spec)
    with pytest.raises(Rejected):
        parse_channel(spec, name="some")


@pytest.mark.parametrize(
    "change", [{"delivery": {"timeToLive": "24h\n"}}, {"type": "Chat", "chat": {"who": "Agents", "agents": ["a*\n"]}}]
)
def test_a_line_break_is_no_part_of_a_name(change: dict[str, Any]) -> None:
    """The end of a pattern is the end of the text, though for Python it may also stand before a last line break."""
    with pytest.raises(Rejected):
        parse_channel({"type": "Notification", **change}, name="some")


def test_the_schema_stands_alone() -> None:
    """Custom resources know no references, and their patterns no looking ahead."""
    text = str(SCHEMA)

    assert "$ref" not in text
    assert "(?!" not in text


def test_the_fields_without_effect_are_named_as_such() -> None:
    """Accepted, whatever they hold."""
    without = [name for name, part in SCHEMA["properties"].items() if "type" not in part and "anyOf" not in part]

    assert sorted(without) == sorted(NOT_USED_YET)


def test_rest_describes_it() -> None:
    """The same schema, with examples, in what is sent and in what is answered."""
    document = rest_document()
    described = document["components"]["schemas"]["ChannelSpec"]
    body = document["paths"]["/v1/admin/channels/{name}"]["put"]["requestBody"]["content"]["application/json"]["schema"]

    assert structure(described) == structure(SCHEMA)
    assert body == {"$ref": "#/components/schemas/ChannelSpec"}
    answered = document["components"]["schemas"]["AdminChannel"]["properties"]["spec"]
    assert answered["$ref"] == "#/components/schemas/ChannelSpec"


def structure(schema: Any) -> Any:
    """What a schema demands, without its words and defaults."""
    if isinstance(schema, list):
        return [structure(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if set(schema) <= {"description", "examples"} and "description" in schema:
        return {}
    words = {"description", "examples", "default"}
    return {key: structure(part) for key, part in schema.items() if key not in words or isinstance(part, dict)}
