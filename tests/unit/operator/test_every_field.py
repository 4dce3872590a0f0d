"""A field is in the definition because it makes something work: another value of it is another installation."""

from collections.abc import Iterator
from typing import Any

import pytest

from aldis_operator.resources.children import replicas
from unit.operator.admission import refusals, schema_of
from unit.operator.built import built, installed

Schema = dict[str, Any]
SPEC = schema_of("MessagingCluster")["properties"]["spec"]

# Two values of each text that cannot be just any two words.
TEXTS = {
    "version": ("0.1.0", "0.2.0"),
    "digest": (f"sha256:{'0' * 64}", f"sha256:{'1' * 64}"),
    "trustedProxies": ("10.0.0.0/8", "192.168.0.0/16"),
    "jwksURL": ("https://one.example.com/keys", "https://two.example.com/keys"),
    "streamRetention": ("24h", "48h"),
    "size": ("30Gi", "40Gi"),
    "cpu": ("2", "3"),
    "memory": ("3Gi", "4Gi"),
}


def leaves(schema: Schema, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of each field that has no fields of its own."""
    for name, part in schema["properties"].items():
        inner = part.get("items", part)
        here = (*path, name)
        yield from leaves(inner, here) if "properties" in inner else [here]


def spec_with(schema: Schema, path: tuple[str, ...], choice: int) -> Any:
    """The least that has a value at `path`, with what else is required around it."""
    name, *rest = path
    part = schema["properties"][name]
    inner = part.get("items", part)
    value = spec_with(inner, tuple(rest), choice) if rest else value_of(name, inner, choice)
    if part.get("type") == "array":
        value = [value]
    elif "additionalProperties" in part:
        value = {"disk": value}
    needed = {
        each: value_of(each, schema["properties"][each], 0) for each in schema.get("required", ()) if each != name
    }
    return {**needed, name: value}


def value_of(name: str, schema: Schema, choice: int) -> Any:
    """One of two values; of an object the least that it needs."""
    if name in TEXTS:
        return TEXTS[name][choice]
    if "enum" in schema:
        return schema["enum"][choice]
    if "properties" in schema:
        return {each: value_of(each, schema["properties"][each], 0) for each in schema.get("required", ())}
    return {"boolean": (True, False), "integer": (7, 8), "number": (0.5, 0.25)}.get(schema.get("type", ""), WORDS)[
        choice
    ]


WORDS = ("one", "two")


@pytest.mark.parametrize("path", list(leaves(SPEC)), ids=".".join)
def test_it_has_an_effect(path: tuple[str, ...]) -> None:
    """On a child object, or on how many pods there are; and both values are taken."""
    one, two = (spec_with(SPEC, path, choice) for choice in (0, 1))
    kind = {"apiVersion": "aldis.dev/v1alpha1", "kind": "MessagingCluster", "metadata": {"name": "prod"}}

    assert refusals({**kind, "spec": one}) == refusals({**kind, "spec": two}) == []
    assert (built(**one), replicas(installed(**one))) != (built(**two), replicas(installed(**two)))
