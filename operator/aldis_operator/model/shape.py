"""What all parts of our custom resources are made of. The definitions in `crds/` are generated from these models.

So every text, list and map has a bound, and what one field cannot say by itself is a `rule` in CEL, which the API
server checks. Reading ignores unknown fields: a newer definition must not stop an older operator.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic.alias_generators import to_camel

RULES = "x-kubernetes-validations"


class Shape(BaseModel):
    """A part of a resource: frozen, with the names that Kubernetes writes."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, validate_by_name=True, use_attribute_docstrings=True
    )


class Metadata(Shape):
    """What we read of `metadata`."""

    name: str
    namespace: str
    uid: str
    generation: int = 1


def rule(expression: str, message: str, *, field: str | None = None) -> dict[str, str]:
    """One rule; `message` names the field and what to do, as it is all that a person is shown."""
    place = {"fieldPath": field} if field is not None else {}
    return {"rule": expression, "message": message, **place}


def rules(*given: dict[str, str]) -> dict[str, Any]:
    """Rules as a model's or a field's `json_schema_extra` takes them."""
    return {RULES: list(given)}


def listed_by(*keys: str) -> dict[str, Any]:
    """A list whose items are known by these fields, so that two writers can each own some of them."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


# The patterns are Kubernetes' own; `maxLength` says what they leave open.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=63)]
ObjectName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", min_length=1, max_length=253)
]
Key = Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]+$", min_length=1, max_length=253)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=253)]
ImageName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][a-zA-Z0-9.:/@_-]*$", min_length=1, max_length=512),
]  # fmt: skip

_AMOUNT = r"^[0-9]{1,15}(\.[0-9]{1,6})?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$"
Quantity = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if isinstance(value, int | float) else value),
    StringConstraints(pattern=_AMOUNT, max_length=24),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "pattern": _AMOUNT,
            "maxLength": 24,
        }
    ),
]
Size = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,14}(M|Mi|G|Gi|T|Ti)$", max_length=18)]

# As long as the longest label: a prefix of 253 characters, a slash and 63.
LABELS = rules(
    rule(
        "self.all(key, key.size() <= 317)", "a label's name has at most 317 characters: shorten the one that is longer"
    )
)
LabelValue = Annotated[str, StringConstraints(max_length=63)]


class LocalRef(Shape):
    """An object of this namespace."""

    name: ObjectName
    """Its name."""


class SecretRef(Shape):
    """A key of a Secret in this namespace."""

    name: ObjectName
    """The Secret's name."""

    key: Key
    """The key in it."""


class UrlRef(Shape):
    """A URL in a Secret of this namespace."""

    name: ObjectName
    """The Secret's name."""

    key: Key = "url"
    """The key in it."""


class CertificateRef(Shape):
    """A certificate in a Secret of this namespace."""

    name: ObjectName
    """The Secret's name."""

    key: Key = "ca.crt"
    """The key in it, and the name of the file."""


class Amounts(Shape):
    """Of each resource so much."""

    cpu: Quantity | None = None
    """Processors: `500m` is half of one."""

    memory: Quantity | None = None
    """Memory: `512Mi`."""


def _within(resource: str) -> dict[str, str]:
    both = f"has(self.requests) && has(self.requests.{resource}) && has(self.limits) && has(self.limits.{resource})"
    fits = f"quantity(string(self.requests.{resource})).compareTo(quantity(string(self.limits.{resource}))) <= 0"
    return rule(
        f"!({both}) || {fits}",
        f"resources.requests.{resource} is more than resources.limits.{resource}: lower the request or raise the limit",
    )


class Resources(Shape):
    """What a container asks for and may use. Given at all, it takes the place of the profile's as a whole."""

    model_config = ConfigDict(json_schema_extra=rules(_within("cpu"), _within("memory")))

    requests: Amounts | None = None
    """What is reserved for it."""

    limits: Amounts | None = None
    """What it may not go beyond. A limit of processors slows everything down for no gain; leave it out."""


class Toleration(Shape):
    """A taint that is tolerated, as in a pod."""

    key: Annotated[str, StringConstraints(max_length=317)] | None = None
    """The taint's name; every taint unless given."""

    operator: Literal["Equal", "Exists"] | None = None
    """`Equal` unless given."""

    value: LabelValue | None = None
    """With `Equal`: the taint's value."""

    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect; every effect unless given."""

    toleration_seconds: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    """With `NoExecute`: how long it may stay; for ever unless given."""


class Placed(Shape):
    """Pods of our own choosing of nodes."""

    resources: Resources | None = None
    """What each pod asks for and may use; the profile's unless given."""

    node_selector: Annotated[dict[str, LabelValue], Field(max_length=16, json_schema_extra=LABELS)] | None = None
    """Labels that a node must have."""

    tolerations: Annotated[list[Toleration], Field(max_length=16)] | None = None
    """Taints of nodes that are tolerated."""

    priority_class_name: ObjectName | None = None
    """The PriorityClass of the pods."""
