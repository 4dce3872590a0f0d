"""JSON Schema (2020-12) in the one form that both documents use, whatever library it comes from.

Titles that repeat a name go, every field has its meaning and an example, enums say their type. Schemas are plain
dictionaries here: they are read by other programs, and not by this one.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import msgspec

from aldis.contract.glossary import NO_EXAMPLE, Term, find_term

Schema = dict[str, Any]
REFERENCE = "#/components/schemas/{name}"
_OF_NAMES = ("properties", "$defs")  # keywords whose value is schemas by name
_OF_MANY = ("anyOf", "oneOf", "allOf")
_OF_ONE = ("items", "additionalProperties", "not")
_BOUNDS = ("minimum", "maximum")
_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


def of_structs(types: Iterable[object]) -> dict[str, Schema]:
    """The schemas of these structures and of all that they are made of, by name."""
    return msgspec.json.schema_components(types, ref_template=REFERENCE)[1]


def reference_to(name: str) -> Schema:
    """A schema that stands for the one with that name."""
    return {"$ref": REFERENCE.format(name=name)}


def name_of(reference: str) -> str:
    """The name that a reference stands for."""
    return reference.rpartition("/")[2]


def parts_of(schema: Schema) -> Iterator[Schema]:
    """The schemas right inside of one."""
    for keyword in _OF_NAMES:
        yield from schema.get(keyword, {}).values()
    for keyword in _OF_MANY:
        yield from schema.get(keyword, ())
    for keyword in _OF_ONE:
        if isinstance(schema.get(keyword), dict):
            yield schema[keyword]


def tidy(schema: Schema) -> Schema:
    """Take out, in place, what says nothing: titles, defaults of null; bounds of integers become integers."""
    schema.pop("title", None)
    if "default" in schema and schema["default"] in (None, [], {}):
        del schema["default"]
    for bound in _BOUNDS:
        if bound in schema and schema[bound] == int(schema[bound]):
            schema[bound] = int(schema[bound])
    if "enum" in schema and all(isinstance(value, str) for value in schema["enum"]):
        schema.setdefault("type", "string")
    for part in parts_of(schema):
        tidy(part)
    return schema


def explain(owner: str, schema: Schema) -> Schema:
    """Give each field, in place, its meaning and an example, unless it has its own."""
    for field, part in schema.get("properties", {}).items():
        explain_field(owner, field, part)
    for part in parts_of(schema):
        explain(owner, part)
    return schema


def explain_field(owner: str, field: str, schema: Schema) -> None:
    """The same for one field."""
    term = find_term(owner, field)
    lift(schema, "description")
    lift(schema, "examples")
    if term is None:
        return
    schema.setdefault("description", term.meaning)
    if "examples" not in schema and is_leaf(schema):
        _show(schema, term)


def _show(schema: Schema, term: Term) -> None:
    """An example, if it fits: a field of the same name may have other values elsewhere."""
    variants = [schema, *schema.get("anyOf", ())]
    allowed = [value for part in variants for value in part.get("enum", ())]
    if allowed:
        allowed += [None] if {"type": "null"} in variants else []
        schema["examples"] = [term.example if term.example in allowed else allowed[0]]
    elif term.example is not NO_EXAMPLE and any(_is_of(term.example, part) for part in variants):
        schema["examples"] = [term.example]


def _is_of(value: object, schema: Schema) -> bool:
    """Whether a value is of the type that a schema names."""
    types = _TYPES.get(schema.get("type", ""))
    if isinstance(value, bool):
        return types is bool
    return isinstance(value, types) if types is not None else not schema.get("anyOf")


def lift(schema: Schema, keyword: str) -> None:
    """What a field's only variant says is said by the field."""
    for part in schema.get("anyOf", ()):
        if part.get("type") != "null" and keyword in part and "$ref" not in part:
            value = part.pop(keyword)
            schema.setdefault(keyword, value)


def is_leaf(schema: Schema) -> bool:
    """Whether a value of it is plain, or of plain values: what is made of other schemas shows theirs."""
    return not any(references(schema)) and not any("properties" in part for part in (schema, *parts_of(schema)))


def references(schema: object) -> Iterator[str]:
    """The names of all schemas that this one refers to."""
    if isinstance(schema, Mapping):
        if isinstance(target := schema.get("$ref"), str):
            yield name_of(target)
        for value in cast("Mapping[str, object]", schema).values():
            yield from references(value)
    elif isinstance(schema, list):
        for value in cast("list[object]", schema):
            yield from references(value)
