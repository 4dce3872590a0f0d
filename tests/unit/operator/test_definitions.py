import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from aldis_operator.crds.definitions import definitions
from aldis_operator.crds.printing import to_yaml
from aldis_operator.crds.reference import to_markdown
from unit.operator.admission import RULES, program, schema_of

CHECKOUT = Path(__file__).parents[3]
KINDS = ["MessagingCluster", "Channel"]
CONDITION = re.compile(r'\.status\.conditions\[\?\(@\.type=="[A-Za-z]+"\)\]\.status')
# What Kubernetes keeps of a structural schema, https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources.
WORDS = {
    "additionalProperties", "anyOf", "default", "description", "enum", "format", "items", "maxItems", "maxLength",
    "maxProperties", "maximum", "minItems", "minLength", "minimum", "pattern", "properties", "required", "type",
}  # fmt: skip


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """A schema and all schemas in it."""
    yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from nodes(part, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from nodes(schema[key], f"{path}[]")


NODES = [(f"{kind}{path}", node) for kind in KINDS for path, node in nodes(schema_of(kind))]


@pytest.mark.parametrize("plural", list(definitions()))
def test_the_definitions_are_those_of_the_models(plural: str) -> None:
    """`python -m aldis_operator.crds PLURAL > crds/PLURAL.yaml` changes nothing."""
    text = (CHECKOUT / "crds" / f"{plural}.yaml").read_text(encoding="utf-8")

    assert text == to_yaml(definitions()[plural])
    assert yaml.safe_load(text) == definitions()[plural]


def test_the_reference_page_is_that_of_the_definitions() -> None:
    """`python -m aldis_operator.crds reference > docs/custom-resources.md` changes nothing."""
    text = (CHECKOUT / "docs" / "custom-resources.md").read_text(encoding="utf-8")

    assert text == to_markdown(definitions())


def test_the_command_prints_what_it_is_asked_for() -> None:
    """And says how it is used when asked for something else."""
    command = [sys.executable, "-m", "aldis_operator.crds"]
    printed = subprocess.run([*command, "channels"], check=True, capture_output=True, text=True).stdout
    wrong = subprocess.run([*command, "pods"], check=False, capture_output=True, text=True)

    assert printed == to_yaml(definitions()["channels"])
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "messagingclusters | channels | reference" in wrong.stderr


def test_there_are_no_other_definitions() -> None:
    """A file that no model makes is nobody's."""
    assert {path.name for path in (CHECKOUT / "crds").iterdir()} == {f"{plural}.yaml" for plural in definitions()}


@pytest.mark.parametrize(("path", "node"), NODES, ids=[path for path, _ in NODES])
def test_a_schema_is_structural_and_bounded(path: str, node: dict[str, Any]) -> None:
    """Every part has a type and only words that Kubernetes keeps; every text, list and map has a bound."""
    is_either = node.get("x-kubernetes-int-or-string", False)
    own = path.endswith((".metadata", ".apiVersion", ".kind")) and path.count(".") == 1  # Kubernetes' own to bound

    assert {word for word in node if not word.startswith("x-kubernetes-")} <= WORDS
    assert is_either or node["type"] in {"object", "array", "string", "integer", "number", "boolean"}
    assert node.get("type") != "array" or "maxItems" in node
    assert node.get("type") != "string" or own or "maxLength" in node or "enum" in node or "format" in node
    assert node.get("type") not in {"integer", "number"} or "enum" in node or "minimum" in node
    assert node.get("type") != "object" or own or "properties" in node or "maxProperties" in node
    assert "description" in node or path.endswith("[]") or path.count(".") == 1


def test_schemas_are_json_schema() -> None:
    """The words have the right kinds of values."""
    for kind in KINDS:
        Draft202012Validator.check_schema(schema_of(kind))


RULED = [(path, node, rule) for path, node in NODES for rule in node.get(RULES, ())]


@pytest.mark.parametrize(("path", "node", "rule"), RULED, ids=[f"{path}: {rule['message']}" for path, _, rule in RULED])
def test_a_rule_is_right_in_itself(path: str, node: dict[str, Any], rule: dict[str, str]) -> None:
    """It compiles, speaks of fields that are there, and its message names what to do."""
    fields = set(re.findall(r"(?:self|oldSelf)((?:\.[a-z]\w*)+)(?![\w(])", rule["rule"]))

    program(rule["rule"])
    for field in fields:
        check_field(node, field.lstrip(".").split("."))
    assert ": " in rule["message"] or "; " in rule["message"]
    assert len(rule["message"]) <= 200


def check_field(node: dict[str, Any], names: list[str]) -> None:
    """Raise `AssertionError` unless a schema has a field; `metadata` has what Kubernetes gives to rules."""
    if names == ["metadata", "name"]:
        return
    for name in names:
        assert name in node["properties"], f"there is no field {'.'.join(names)}"
        node = node["properties"][name]


@pytest.mark.parametrize("plural", list(definitions()))
def test_columns_and_paths_lead_somewhere(plural: str) -> None:
    """A printer column, and what scalers read and write, is a field of the schema."""
    [version] = definitions()[plural]["spec"]["versions"]
    columns = [column["jsonPath"] for column in version["additionalPrinterColumns"]]
    paths = [*columns, *version["subresources"].get("scale", {}).values()]

    for path in paths:
        if path != ".metadata.creationTimestamp" and not CONDITION.fullmatch(path):
            check_field(version["schema"]["openAPIV3Schema"], path.lstrip(".").split("."))


@pytest.mark.parametrize("kind", KINDS)
def test_conditions_are_as_kstatus_reads_them(kind: str) -> None:
    """Each type once, with its own generation; the resource says which generation it has looked at."""
    status = schema_of(kind)["properties"]["status"]["properties"]
    conditions = status["conditions"]

    assert "observedGeneration" in status
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]
    assert {"lastTransitionTime", "message", "reason", "status", "type"} <= set(conditions["items"]["required"])
    assert "observedGeneration" in conditions["items"]["properties"]
