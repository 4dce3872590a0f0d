"""Values to show, made of the examples that fields have: so each body and frame of the descriptions has a whole one."""

from collections.abc import Mapping
from typing import Any

from aldis.contract.schemas import Schema, name_of, references

_PLAIN: dict[str, Any] = {"string": "…", "integer": 1, "number": 1, "boolean": True, "null": None, "array": []}


def example_of(schema: Schema, components: Mapping[str, Schema]) -> Any:
    """A value that the schema allows."""
    if schema.get("examples"):
        return schema["examples"][0]
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    if "enum" in schema:
        return schema["enum"][0]
    if "$ref" in schema:
        return example_of(components[name_of(schema["$ref"])], components)
    for keyword in ("anyOf", "oneOf", "allOf"):
        if keyword in schema:
            return example_of(schema[keyword][0], components)
    return _made(schema, components)


def _made(schema: Schema, components: Mapping[str, Schema]) -> Any:
    if isinstance(schema.get("items"), dict):
        return [example_of(schema["items"], components)]
    if "properties" in schema:
        return {field: example_of(part, components) for field, part in shown_fields(schema).items()}
    if isinstance(schema.get("additionalProperties"), dict):
        return {"…": example_of(schema["additionalProperties"], components)}
    return _PLAIN.get(schema.get("type", ""), {})


def shown_fields(schema: Schema) -> dict[str, Schema]:
    """The fields worth showing: what is required, and what is neither usual nor null."""
    required = schema.get("required", ())
    return {field: part for field, part in schema["properties"].items() if field in required or _says_something(part)}


def _says_something(schema: Schema) -> bool:
    if "default" in schema:
        return False
    return schema["examples"][0] is not None if "examples" in schema else any(references(schema))
