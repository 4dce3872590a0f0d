"""The OpenAPI document: right by its own rules, and with a word and an example for everything in it."""

from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import validate

from aldis.api import headers, words
from aldis.api.problems import CODES_KEY
from aldis.contract.schemas import Schema, is_leaf, parts_of
from aldis.domain.errors import CODES
from described import Json, all_references, check_value, rest_document

DOCUMENT = rest_document()
OPERATIONS = {op["operationId"]: op for path in DOCUMENT["paths"].values() for op in path.values()}
SCHEMAS: dict[str, Schema] = DOCUMENT["components"]["schemas"]
each_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)


def bodies(operation: Json) -> Iterator[tuple[str, Json]]:
    """What is sent and what is answered, with the place of each."""
    contents = {"body": operation.get("requestBody", {}).get("content", {})}
    contents |= {status: answer.get("content", {}) for status, answer in operation["responses"].items()}
    for place, content in contents.items():
        yield from ((f"{operation['operationId']} {place}", media) for media in content.values())


def fields(owner: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    """All fields inside of a schema, however deep."""
    for name, part in schema.get("properties", {}).items():
        yield f"{owner}.{name}", part
    for part in parts_of(schema):
        yield from fields(owner, part)


def examples_of(media: Json) -> list[Any]:
    """The examples of a body."""
    named = media.get("examples", {}).values()
    found = [
        each["value"] if "value" in each else DOCUMENT["components"]["examples"][last(each)]["value"] for each in named
    ]
    return [*found, media["example"]] if "example" in media else found


def last(reference: Json) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def test_it_is_openapi_31() -> None:
    """By the specification's own schema, with all references and defaults right."""
    validate(DOCUMENT)

    assert DOCUMENT["openapi"].startswith("3.1")
    assert DOCUMENT["servers"]


def test_nothing_of_the_framework_is_left() -> None:
    """No shape of its own for wrong requests, no answer for any status, no titles made of names."""
    text = str(DOCUMENT)

    assert "HTTPValidationError" not in text
    assert "Successful Response" not in text
    assert not [op for op in OPERATIONS.values() if "default" in op["responses"]]
    assert not [name for name, schema in SCHEMAS.items() if "title" in schema]


def test_every_schema_is_used_and_told() -> None:
    """What nothing refers to is not there, and each says what it is."""
    assert set(SCHEMAS) <= set(all_references(DOCUMENT))
    assert [name for name, schema in SCHEMAS.items() if not schema.get("description")] == []


def test_every_field_has_a_meaning_and_an_example() -> None:
    """At the field itself, or in the glossary; what is made of other fields shows theirs."""
    told = [(place, part) for name, schema in SCHEMAS.items() for place, part in fields(name, schema)]

    assert [place for place, part in told if not part.get("description")] == []
    assert [
        place for place, part in told if is_leaf(part) and part.keys() & {"type", "anyOf"} and not shows(part)
    ] == []


def shows(schema: Schema) -> bool:
    """Whether one can see what a value looks like."""
    return bool(schema.keys() & {"examples", "const"})


def test_every_example_of_a_field_fits() -> None:
    """What is shown is allowed."""
    for name, schema in SCHEMAS.items():
        for place, part in fields(name, schema):
            for example in part.get("examples", ()):
                check_value(part, example, place)


@each_operation
def test_an_operation_is_told_in_full(operation: Json) -> None:
    """A title, a sentence, a place among the others, who may call it, and a word for each answer and header."""
    assert operation["summary"]
    assert operation["description"].endswith((".", "null."))
    assert operation["tags"][0] in words.TAGS
    assert all(answer["description"] for answer in operation["responses"].values())
    assert "security" in operation
    told = [header for answer in operation["responses"].values() for header in answer.get("headers", {}).values()]
    assert all(header["description"] and header["example"] for header in told)


@each_operation
def test_a_parameter_has_a_meaning_and_an_example_and_is_never_null(operation: Json) -> None:
    """What is left out of a path, a query or a header is not there."""
    for parameter in operation.get("parameters", ()):
        assert parameter["description"], parameter["name"]
        check_value(parameter["schema"], parameter["example"], parameter["name"])
        assert "null" not in str(parameter["schema"])


@each_operation
def test_each_body_has_an_example_that_fits(operation: Json) -> None:
    """Whole, and allowed by its schema."""
    for place, media in bodies(operation):
        assert examples_of(media), place
        for example in examples_of(media):
            check_value(media["schema"], example, place)


@each_operation
def test_refusals_are_problems_with_known_codes(operation: Json) -> None:
    """Each status from 400 on lists the codes that it may have, each of which has that status."""
    for status, answer in operation["responses"].items():
        for code in answer.get(CODES_KEY, ()):
            assert CODES[code].status == int(status)
        if int(status) >= 400 and CODES_KEY not in answer:
            assert (operation["tags"], status) == (["operations"], "503")  # a probe's own answer


@each_operation
def test_who_is_asked_who_he_is_may_be_refused(operation: Json) -> None:
    """Calls with a credential may answer 401 and are not for caches; the others ask nobody."""
    assert bool(operation["security"]) == ("401" in operation["responses"])
    if operation["security"]:
        assert all("Cache-Control" in answer["headers"] for answer in operation["responses"].values())


def test_every_code_is_answered_somewhere() -> None:
    """But for those that only a socket or an unknown path knows."""
    told = {code for op in OPERATIONS.values() for a in op["responses"].values() for code in a.get(CODES_KEY, ())}

    assert CODES.keys() - told == {"unknown_command", "not_connected", "method_not_allowed"}


def test_operations_have_one_name_each() -> None:
    """What generated clients call their methods."""
    assert len(OPERATIONS) == sum(len(path) for path in DOCUMENT["paths"].values())


def test_every_header_is_told_somewhere() -> None:
    """None is described that no answer has."""
    told = {name for op in OPERATIONS.values() for a in op["responses"].values() for name in a.get("headers", {})}

    assert told == set(headers._HEADERS)


def test_tags_are_told() -> None:
    """In the order in which they are best read."""
    assert all(tag["description"] for tag in DOCUMENT["tags"])
    assert {tag["name"] for tag in DOCUMENT["tags"]} == {op["tags"][0] for op in OPERATIONS.values()}
