"""The reference page of the custom resources: every field, with what the definitions say of it."""

from collections.abc import Iterator, Mapping
from typing import Any

from aldis_operator.model.profiles import PROFILES, Part

INTRODUCTION = """\
# Custom resources

The resources that the operator is to work from, of the group `aldis.dev/v1alpha1`, field by field. **Nothing acts on
them yet**: their definitions can be applied, and the API server refuses what is wrong, with the field and the remedy.
What is left out is as its row says. This page is generated from the [definitions](../crds); examples are in
[samples](../samples).
"""
CONCLUSION = """\
## What is made

Of a `MessagingCluster` called `NAME`, all in its namespace:

| object | for |
|---|---|
| Service `NAME-gateway`, port 80 | clients: route it to the outside |
| Service `NAME-admin`, port 9090 | metrics and `/v1/admin` of each gateway: never route it to the outside |
| Deployments `NAME-gateway`, `NAME-worker-GROUP` | the processes; `kubectl scale` of the resource is for the gateways |
| Job `NAME-migrate-…` | the schema, before the pods of a version |
| StatefulSets `NAME-postgres`, `NAME-rabbitmq`, `NAME-redis` | the managed servers, each with a Service, a ConfigMap and a Secret `…-account` |
| ConfigMap `NAME-config`, Secret `NAME-connections` | what the processes are told |
| Secret `NAME-root` | what all passwords that are made are derived from. Lose it together with the volumes, or not at all: with `Retain` it stays as they do |
| PodDisruptionBudgets, NetworkPolicies | one pod of several at a time; who may talk to whom |

All pods pass the Pod Security level `restricted`: no root, no privileges, a root folder that nobody writes to.

## What an image has to have

Neither an image's entrypoint nor its variables are used, so that official images serve, and those of your own.

| image | programs |
|---|---|
| of the runtime | `aldis` in `PATH`, readable for any account |
| of PostgreSQL, 15 or newer | `initdb`, `postgres`, `pg_ctl`, `pg_isready` in `PATH` or below `/usr/lib/postgresql`; `sh`, `cat`, `chmod`, `sed`, `mv`, `rm`, `sync`; the locale `C.UTF-8` |
| of RabbitMQ, 4.0 or newer | `rabbitmq-server` and `rabbitmq-upgrade` in `/usr/lib/rabbitmq/bin`, `/opt/rabbitmq/sbin` or `PATH`; `sh`, `cat`, `chmod`, `mkdir`, `rm` |
| of Redis, 6.2 or newer | `redis-server` in `PATH` |
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
    chapters = (_chapter(definition) for definition in definitions.values())
    return "\n".join([INTRODUCTION, *chapters, _profiles(), CONCLUSION])


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


def _profiles() -> str:
    parts = ("gateway", "worker", "database", "broker", "cache")
    lines = ["## Profiles", "", "So many pods of each, what each asks for and may use, and its volume.", ""]
    lines += ["| profile | gateways | workers | database | broker | cache |", "|---|---|---|---|---|---|"]
    for name, profile in PROFILES.items():
        cells = [_part(getattr(profile, part)) for part in parts]
        lines += [f"| `{name}` | {' | '.join(cells)} |"]
    return "\n".join([*lines, ""])


def _part(part: Part) -> str:
    asked, limits = part.compute.requests, part.compute.limits
    volume = f", {part.size}" if part.size else ""
    return f"{part.replicas} of {asked['cpu']}, {asked['memory']} to {limits['memory']}{volume}"


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
