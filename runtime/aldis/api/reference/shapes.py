"""A schema as people read it: a list of fields, each with its type, its meaning, and what is inside of it."""

from collections.abc import Iterator, Mapping
from typing import Any

from aldis.api.reference.markup import Markup, element, join, words
from aldis.contract.schemas import Schema, name_of

MAX_DEPTH = 6
_LIMITS = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minItems": "at least {}",
    "maxItems": "at most {}",
    "default": "{} unless given",
}
_PATTERNS = {  # told by a word
    "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$": "uuid",
    "^[A-Za-z0-9._:@-]{1,128}$": "name",
}
_SHOWN = 2**31  # larger bounds are those of numbers in JSON, and no news


class Shapes:
    """Draws schemas of one document."""

    def __init__(self, components: Mapping[str, Schema]) -> None:
        self._components = components

    def fields(self, schema: Schema, depth: int = 0) -> Markup:
        """What is in an object, or in each of the variants that it may have."""
        whole = self._resolved(schema)
        if variants := self._variants(whole):
            return join(self._variant(variant, depth) for variant in variants)
        fields: Mapping[str, Schema] = whole.get("properties", {})
        required = whole.get("required", ())
        rows = [self.field(name, part, is_required=name in required, depth=depth) for name, part in fields.items()]
        return element("ul", *rows, class_="fields") if rows else Markup("")

    def field(self, name: str, schema: Schema, *, is_required: bool, depth: int = 0) -> Markup:
        """One field."""
        head = [element("code", name, class_="name"), " ", element("span", self.type_of(schema), class_="type")]
        if is_required:
            head += [" ", element("span", "required", class_="required")]
        meaning = str(schema.get("description") or self._resolved(schema).get("description", ""))
        return element(
            "li", element("div", *head), element("p", words(meaning)), self._about(schema), self._inside(schema, depth)
        )

    def _about(self, schema: Schema) -> Markup:
        told = list(self._told(schema))
        return element("p", *told, class_="about") if told else Markup("")

    def _told(self, schema: Schema) -> Iterator[str]:
        """Its values, its limits, its pattern."""
        for part in self._plain_parts(schema):
            if "enum" in part:
                yield join(_spaced(element("code", str(value)) for value in part["enum"]))
            limits = [words.format(f"{part[key]}") for key, words in _LIMITS.items() if _is_worth_telling(part, key)]
            if limits:
                yield f"{', '.join(limits)}. "
            if part.get("pattern", "") not in {"", *_PATTERNS}:
                yield join(["Pattern ", element("code", part["pattern"])])

    def _plain_parts(self, schema: Schema) -> list[Schema]:
        whole = self._resolved(schema)
        parts = [whole, *(self._resolved(part) for part in whole.get("anyOf", ()))]
        return [part for part in parts if part.get("type") != "object"] + (
            [{"default": schema["default"]}] if "$ref" in schema and "default" in schema else []
        )

    def _inside(self, schema: Schema, depth: int) -> Markup:
        inner = self._inner(schema)
        if inner is None or depth >= MAX_DEPTH:
            return Markup("")
        drawn = self.fields(inner, depth + 1)
        if not drawn:
            return drawn
        variants = [self._name(part) for part in self._variants(self._resolved(inner))]
        title = f"One of {', '.join(variants)}" if variants else f"Fields of {self._name(inner)}"
        return element("details", element("summary", title), drawn)

    def _inner(self, schema: Schema) -> Schema | None:
        """What has fields in it: itself, its items or its values."""
        variants: list[Schema] = schema.get("anyOf", [])
        for part in (schema, *variants):
            whole = self._resolved(part)
            if whole.get("properties") or self._variants(whole):
                return part
            for key in ("items", "additionalProperties"):
                if isinstance(whole.get(key), dict) and (found := self._inner(whole[key])) is not None:
                    return found
        return None

    def _variants(self, schema: Schema) -> list[Schema]:
        """The objects that it may be, when it may be several."""
        listed: list[Schema] = schema.get("oneOf") or schema.get("anyOf") or []
        objects = [part for part in listed if self._resolved(part).get("properties")]
        return [part for part in objects if part.keys() & {"$ref", "type"}] if len(objects) > 1 else []

    def _variant(self, schema: Schema, depth: int) -> Markup:
        whole = self._resolved(schema)
        title = self._name(schema)
        meaning = words(str(whole.get("description", "")))
        head = element("summary", element("span", title, class_="variant"), " ", meaning)
        return element("details", head, self.fields(schema, depth + 1), class_="option")

    def type_of(self, schema: Schema) -> str:
        """In words: `string`, `integer or null`, `list of Message`."""
        if "$ref" in schema:
            return self._name(schema)
        if "const" in schema:
            return repr(schema["const"]).replace("'", '"')
        variants: list[Schema] = schema.get("anyOf") or schema.get("oneOf") or []
        if variants and "properties" not in schema:
            return " or ".join(dict.fromkeys(self.type_of(part) for part in variants))
        if schema.get("type") == "array":
            return f"list of {self.type_of(schema.get('items', {}))}"
        return self._plain_type(schema)

    def _plain_type(self, schema: Schema) -> str:
        if schema.get("format") == "date-time":
            return "time"
        if schema.get("pattern") in _PATTERNS:
            return _PATTERNS[schema["pattern"]]
        if isinstance(schema.get("additionalProperties"), dict):
            return f"map of {self.type_of(schema['additionalProperties'])}"
        return str(schema.get("type", "any"))

    def _name(self, schema: Schema) -> str:
        if "$ref" in schema:
            return name_of(schema["$ref"])
        fields = self._resolved(schema).get("properties", {})
        tag = fields.get("type", {})
        values = [tag["const"]] if "const" in tag else tag.get("enum", [])
        return str(values[0]) if len(values) == 1 else " + ".join(fields) if len(fields) == 1 else "object"

    def _resolved(self, schema: Schema) -> Schema:
        return self._components[name_of(schema["$ref"])] if "$ref" in schema else schema


def _spaced(parts: Iterator[Markup]) -> Iterator[str]:
    for part in parts:
        yield part
        yield " "


def _is_worth_telling(schema: Schema, key: str) -> bool:
    value: Any = schema.get(key)
    if value in {None, ""} or (key, value) == ("minimum", 0):
        return False
    return not (isinstance(value, int) and abs(value) >= _SHOWN)
