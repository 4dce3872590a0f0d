"""A model as a structural schema: whole in itself, without references, titles or alternatives."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from aldis_operator.model.shape import RULES

_NOT_IN_KUBERNETES = frozenset(("title", "const", "$defs", "examples"))


def structural(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a model, with the names that stand in a document."""
    whole = model.model_json_schema(by_alias=True)
    return _whole(whole, whole.get("$defs", {}))


def _whole(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any]:
    outer = {key: value for key, value in schema.items() if key not in {"$ref", "anyOf"}}
    inner: Mapping[str, Any] = {}
    if "$ref" in schema:
        inner = _whole(parts[schema["$ref"].rpartition("/")[2]], parts)
    elif "anyOf" in schema and "x-kubernetes-int-or-string" not in schema:
        inner = _whole(_only(schema["anyOf"]), parts)
    elif "anyOf" in schema:
        outer["anyOf"] = schema["anyOf"]
    held = [*inner.get(RULES, ()), *outer.get(RULES, ())]  # of the type, and of the field that has it
    return _clean({**inner, **outer, **({RULES: held} if held else {})}, parts)


def _only(alternatives: list[dict[str, Any]]) -> dict[str, Any]:
    """What there is besides null, which a document says by leaving the field out."""
    [one] = [each for each in alternatives if each.get("type") != "null"]
    return one


def _clean(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: value for key, value in schema.items() if key not in _NOT_IN_KUBERNETES}
    if found.get("default", ...) is None:
        del found["default"]
    if isinstance(found.get("description"), str):
        found["description"] = " ".join(found["description"].split())
    if "properties" in found:
        found["properties"] = {name: _whole(part, parts) for name, part in found["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), dict):
            found[key] = _whole(found[key], parts)
    return {key: found[key] for key in sorted(found, key=_place)}


def _place(key: str) -> tuple[int, str]:
    """What a reader looks for first stands first."""
    order = ("description", "type", "required", "properties")
    return (order.index(key) if key in order else len(order), key)
