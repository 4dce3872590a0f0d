"""What the API server says of a document: the schema of its definition, then the rules in CEL.

The rules are evaluated by Google's own CEL; what Kubernetes adds to the language (`quantity`) is put in here. What only
a real API server knows is not looked at: the cost of a rule, and the types of its parts.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from cel_expr_python import cel  # type: ignore[import-untyped]  # it has types, but does not say so
from cel_expr_python.ext.ext_strings import ExtStrings  # type: ignore[import-untyped]
from jsonschema import Draft202012Validator

from aldis_operator.crds.definitions import definitions

RULES = "x-kubernetes-validations"
QUANTITY = re.compile(r"([0-9.]+)([a-zA-Z]*)")
FACTORS = {"m": Decimal("0.001"), "": Decimal(1)}
FACTORS |= {unit: Decimal(1000) ** power for power, unit in enumerate("kMGT", 1)}
FACTORS |= {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGT", 1)}


@cache
def schema_of(kind: str) -> dict[str, Any]:
    """The schema of a kind's resources."""
    [found] = [each for each in definitions().values() if each["spec"]["names"]["kind"] == kind]
    schema: dict[str, Any] = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def refusals(document: Any, old: Any = None) -> list[str]:
    """Why a document is not taken, in the place of `old` if that is given; empty when it is."""
    schema = schema_of(document["kind"])
    document, old = without_nulls(document), without_nulls(old)
    errors = [
        f"{'.'.join(str(part) for part in error.absolute_path)}: {error.message}"
        for error in Draft202012Validator(closed(schema)).iter_errors(document)
    ]
    return errors or list(broken(schema, document, old))


def without_nulls(value: Any) -> Any:
    """As the API server stores it: null is left out where nothing may be null."""
    if isinstance(value, dict):
        return {key: without_nulls(part) for key, part in value.items() if part is not None}
    return [without_nulls(part) for part in value] if isinstance(value, list) else value


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """With unknown fields refused, as `kubectl apply` asks for."""
    found: dict[str, Any] = {key: value for key, value in schema.items() if not key.startswith("x-")}
    if "properties" in found:
        found["properties"] = {name: closed(part) for name, part in found["properties"].items()}
        found["additionalProperties"] = False
    if "items" in found:
        found["items"] = closed(found["items"])
    return found


def broken(schema: Mapping[str, Any], value: Any, old: Any) -> Iterator[str]:
    """The messages of the rules that do not hold, here and below."""
    for rule in schema.get(RULES, ()):
        if "oldSelf" in rule["rule"] and old is None:
            continue
        verdict = program(rule["rule"]).eval(data={"self": value, "oldSelf": old})
        assert verdict.type() == cel.Type.BOOL, f"{rule['rule']} ends with {verdict}"
        if not verdict.value():
            yield rule["message"]
    for name, part in schema.get("properties", {}).items():
        if isinstance(value, dict) and name in value:
            yield from broken(part, value[name], old.get(name) if isinstance(old, dict) else None)
    for item in value if isinstance(value, list) else ():
        yield from broken(schema.get("items", {}), item, matching(schema, item, old))


def matching(schema: Mapping[str, Any], item: Any, old: Any) -> Any:
    """The item of the old list that is the same one; there is none in a list without keys."""
    keys = schema.get("x-kubernetes-list-map-keys", ())
    same = [each for each in old or () if all(each[key] == item[key] for key in keys)] if keys else []
    return same[0] if same else None


@cache
def program(expression: str) -> cel.Expression:
    """A rule, compiled and checked."""
    return environment().compile(expression)


@cache
def environment() -> cel.Env:
    quantity = cel.FunctionDecl(
        "quantity",
        [cel.Overload("quantity_string", return_type=cel.Type.INT, parameters=[cel.Type.STRING], impl=thousandths)],
    )
    compare = cel.FunctionDecl(
        "compareTo",
        [
            cel.Overload(
                "quantity_compare",
                return_type=cel.Type.INT,
                parameters=[cel.Type.INT, cel.Type.INT],
                is_member=True,
                impl=lambda one, other: (one > other) - (one < other),
            )
        ],
    )
    return cel.NewEnv(
        variables={"self": cel.Type.DYN, "oldSelf": cel.Type.DYN},
        extensions=[ExtStrings()],
        functions=[quantity, compare],
    )


def thousandths(text: str) -> int:
    """A quantity as a whole number."""
    found = QUANTITY.fullmatch(text)
    assert found is not None, f"{text} is no quantity"
    return int(Decimal(found[1]) * FACTORS[found[2]] * 1000)
