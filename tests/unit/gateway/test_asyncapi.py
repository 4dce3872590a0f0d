"""The AsyncAPI document: right by its own rules, whole, and of one mind with REST."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from aldis.contract.schemas import Schema, is_leaf
from aldis.domain.errors import CODES
from aldis.domain.streams import MESSAGE_TYPES, SOURCES
from aldis.gateway import told
from aldis.gateway.answers import ANSWERED_AS, ANSWERS, NEED_ID
from aldis.gateway.asyncapi import CLOSE_CODES_KEY
from aldis.gateway.close_codes import REASONS, REMEDIES, CloseCode
from aldis.gateway.described import command_name, commands
from aldis.services.news import EPHEMERA, STATES
from described import Json, all_references, check_frame, rest_document, socket_document

DOCUMENT = socket_document()
SCHEMAS: dict[str, Schema] = DOCUMENT["components"]["schemas"]
MESSAGES: Json = DOCUMENT["components"]["messages"]
OFFICIAL = Path(__file__).parent / "asyncapi-3.0.0.json"


def test_it_is_asyncapi_30() -> None:
    """By the specification's own schema."""
    official = json.loads(OFFICIAL.read_text(encoding="utf-8"))

    assert [f"{e.json_path}: {e.message[:200]}" for e in Draft7Validator(official).iter_errors(DOCUMENT)] == []


def test_every_reference_leads_somewhere() -> None:
    """And every schema, and every kind of frame, is referred to."""
    known = {*SCHEMAS, *MESSAGES, *DOCUMENT["channels"], *DOCUMENT["servers"], "userToken"}
    found = set(all_references(DOCUMENT))

    assert found <= known
    assert {*SCHEMAS, *MESSAGES} <= found


def test_every_command_says_what_it_is_answered_with() -> None:
    """With a shape, or with nothing; a new command is described when it says so."""
    assert set(ANSWERS) == set(commands())
    assert set(ANSWERED_AS) <= set(commands())
    assert set(NEED_ID) <= set(commands())
    operations = {name for name, each in DOCUMENT["operations"].items() if each["action"] == "receive"}
    assert operations == set(commands())


@pytest.mark.parametrize("name", MESSAGES)
def test_a_kind_of_frame_is_told_with_an_example_that_fits(name: str) -> None:
    """What it is for, and what it looks like."""
    message = MESSAGES[name]

    assert message["summary"] == told.FRAMES[name]
    for example in message["examples"]:
        assert check_frame(example["payload"], by_client=name.endswith("Command"))[0] == name


def test_no_words_are_left_over() -> None:
    """Of frames that are no more."""
    assert set(told.FRAMES) == set(MESSAGES)


def test_every_field_has_a_meaning_and_an_example() -> None:
    """As in the description of REST; a frame's own name for its body needs no words."""
    told_fields = [
        (f"{name}.{field}", part)
        for name, schema in SCHEMAS.items()
        for field, part in schema.get("properties", {}).items()
        if not name.endswith(("Command", "Reply", "News", "Event"))
    ]

    assert [place for place, part in told_fields if not part.get("description")] == []
    assert [p for p, part in told_fields if is_leaf(part) and "type" in part and "examples" not in part] == []


def test_events_are_those_that_are_written() -> None:
    """Types of messages, of state and of ephemera; sources by their names."""
    lanes, state = SCHEMAS["MessageNews"]["properties"], SCHEMAS["StateNews"]["properties"]

    assert [*lanes["source"]["enum"], *state["source"]["enum"]] == list(SOURCES)
    assert len(lanes["events"]["items"]["oneOf"]) == len(MESSAGE_TYPES)
    assert len(state["events"]["items"]["oneOf"]) == len(STATES)
    assert len(SCHEMAS["EphemeralNews"]["properties"]["ephemeral"]["items"]["oneOf"]) == len(EPHEMERA)


def test_close_codes_and_error_codes_are_the_codes_own() -> None:
    """Each with what to do about it."""
    described = DOCUMENT["channels"]["socket"][CLOSE_CODES_KEY]

    assert [(each["code"], each["reason"], each["remedy"]) for each in described] == [
        (int(code), REASONS[code], REMEDIES[code]) for code in CloseCode
    ]
    assert SCHEMAS["ErrorBody"]["properties"]["code"]["x-extensible-enum"] == list(CODES)


def test_what_only_backends_may_say_is_not_described() -> None:
    """It is refused as such, and no part of what a user's device may send."""
    assert not SCHEMAS["SendBody"]["properties"].keys() & {"from", "push", "send_at"}
    assert [set(part["properties"]) for part in SCHEMAS["ToBody"]["oneOf"]] == [{"user"}, {"conversation"}]


@pytest.mark.parametrize(("socket", "rest"), [("Message", "Message"), ("Sent", "SentOne"), ("ErrorBody", "ErrorOfOne")])
def test_a_shape_is_the_same_on_both_sides(socket: str, rest: str) -> None:
    """Field by field: a message, what a send answers, an error."""
    other = rest_document()["components"]["schemas"][rest]

    assert plain(SCHEMAS[socket]) == plain(other)


def plain(schema: Any) -> Any:
    """A schema without its words, and without what says the same in another way."""
    if isinstance(schema, list):
        return sorted((plain(part) for part in schema), key=lambda part: json.dumps(part, sort_keys=True))
    if not isinstance(schema, dict):
        return schema
    kept = {key: plain(part) for key, part in schema.items() if key not in {"description", "examples"}}
    if "$ref" in kept:
        name = schema["$ref"].rpartition("/")[2]
        kept["$ref"] = {"TextContent": "Text", "JsonContent": "Json"}.get(name, name)  # there they are sent as well
    return kept


def test_a_name_of_a_frame_follows_from_its_command() -> None:
    """So that generated clients can be guessed at."""
    assert command_name("connect") == "ConnectCommand"
