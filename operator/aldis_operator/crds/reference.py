"""The reference page of the custom resources: every field, with what the definitions say of it."""

from collections.abc import Iterator, Mapping
from typing import Any

INTRODUCTION = """\
# Custom resources

The resources that the operator works from, of the group `aldis.dev/v1alpha1`, field by field. What is wrong is refused
by the API server, with the field and the remedy; what is left out is as its row says. This page is generated from the
[definitions](../crds). Examples are in [samples](../samples).
"""
_BOUNDS = (
    ("minimum", "from {}"),
    ("maximum", "up to {}"),
    ("minItems", "at least {} item"),
    ("maxItems", "at most {} items"),
    ("maxProperties", "at most {} entries"),
)


def to_markdown(definitions: Mapping[str, Mapping[str, Any]]) -> str:
    """The page."""
    return "\n".join([INTRODUCTION, *(_chapter(definition) for definition in definitions.values())])


def _chapter(definition: Mapping[str, Any]) -> str:
    names, version = definition["spec"]["names"], definition["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    short = names["shortNames"][0]
    lines = [f"## {names['kind']}", "", schema["description"], "", f"`kubectl get {short}` lists them.", ""]
    for part, title in (("spec", "Fields of"), ("status", "What it tells of")):
        lines += [f"### {title} {names['kind']}", "", "| field | type | meaning |", "|---|---|---|"]
        lines += [_row(path, field, needed) for path, field, needed in _fields(schema["properties"][part], part)]
        lines += [""]
    lines += [f"### Rules of {names['kind']}", "", *(f"- {words}" for words in dict.fromkeys(_messages(schema))), ""]
    return "\n".join(lines)


def _fields(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Each field below, with its path and whether it has to be given."""
    for name, field in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        yield here, field, name in schema.get("required", ())
        yield from _fields(field, here)
        yield from _fields(field.get("items", {}), f"{here}[]")


def _row(path: str, field: Mapping[str, Any], needed: object) -> str:
    words = field.get("description", "").replace("|", "\\|")
    must = " Required." if needed else ""
    return f"| `{path}` | {_type(field)} | {words}{must} |"


def _type(field: Mapping[str, Any]) -> str:
    bounds = [words.format(_number(field[key])) for key, words in _BOUNDS if key in field]
    if field.get("x-kubernetes-int-or-string"):
        return "quantity"
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if field["type"] == "array":
        inner = _type(field["items"])
        return ", ".join([f"list of {inner if inner != 'object' else 'objects'}", *bounds])
    if "additionalProperties" in field:
        return ", ".join(["map of texts", *bounds])
    default = [f"`{field['default']}` unless given"] if "default" in field else []
    return ", ".join([_word(field["type"]), *bounds, *default])


def _word(type_: str) -> str:
    return {"string": "text", "boolean": "yes or no", "integer": "whole number"}.get(type_, type_)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"


def _messages(schema: Mapping[str, Any]) -> Iterator[str]:
    for each in schema.get("x-kubernetes-validations", ()):
        yield each["message"]
    parts = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
    for part in parts:
        if isinstance(part, Mapping):
            yield from _messages(part)
