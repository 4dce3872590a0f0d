"""The description of REST for machines: OpenAPI 3.1, from the routes, their shapes and the table of errors.

FastAPI makes a first version; here it gets what FastAPI cannot know (who may call, which problems there are, headers),
the words of the glossary, and an example of every body. It is made once.
"""

import re
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from aldis.api import headers, words
from aldis.api.admin_schemas import SHAPE
from aldis.api.auth import find_admin, find_caller, find_user
from aldis.api.errors import MEDIA_TYPE, problem_of
from aldis.api.problems import CODES_KEY, callables_of, codes_of
from aldis.contract import schemas
from aldis.contract.examples import example_of
from aldis.contract.schemas import Schema
from aldis.domain.errors import CODES, Rejected
from aldis.services.channel_schema import channel_schema

JSON = "application/json"
USER, BACKEND = "userToken", "backendKey"
SECURITY_SCHEMES = {
    USER: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A user's token: `sub` is the user, `exp` is required. `aldis token USER` makes one.",
    },
    BACKEND: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "ak_…",
        "description": "A backend's key, made by `aldis key create NAME`, with scopes and perhaps channels.",
    },
}
_SUFFIX = re.compile(r"Answer$")
_EMPTY = "Done; there is nothing to tell."


def build_openapi(app: FastAPI) -> dict[str, Any]:
    """The whole document."""
    routes = routes_of(app)
    document = get_openapi(title=app.title, version=app.version, description=words.OVERVIEW, routes=routes)
    document["info"]["license"] = {"name": "Apache License 2.0", "identifier": "Apache-2.0"}
    document["servers"] = [{"url": "/", "description": "The server that serves this description."}]
    document = dict(_renamed(document))
    components = document.setdefault("components", {})
    components["schemas"] |= {"ChannelSpec": deepcopy(channel_schema())}
    components["securitySchemes"] = SECURITY_SCHEMES
    components["examples"] = {code: _problem_example(code) for code in CODES}
    for name, schema in components["schemas"].items():
        schemas.explain(name, schemas.tidy(schema))
    for route in routes:
        for method in route.methods or ():
            _complete(document["paths"][route.path_format][method.lower()], route, components["schemas"])
    components["schemas"] = _used(document)
    document["tags"] = _tags(routes)
    return document


def routes_of(app: FastAPI) -> list[RouteContext]:
    """The routes that are described, with what their routers add to them."""
    found = iter_route_contexts(app.routes)
    return [route for route in found if isinstance(route.original_route, APIRoute) and route.include_in_schema]


def _renamed(document: Any) -> Any:
    """Our classes say whether a shape is taken or given; its readers know that from where it stands."""
    if isinstance(document, dict):
        if SHAPE in document:
            return schemas.reference_to(document[SHAPE])
        renamed = {key: _renamed(value) for key, value in document.items()}
        if isinstance(target := renamed.get("$ref"), str):
            renamed["$ref"] = _SUFFIX.sub("", target)
        if isinstance(shapes := renamed.get("schemas"), dict):
            renamed["schemas"] = {_SUFFIX.sub("", name): shape for name, shape in shapes.items()}
            assert len(renamed["schemas"]) == len(shapes), "two schemas have one name"
        return renamed
    return [_renamed(part) for part in document] if isinstance(document, list) else document


def _problem_example(code: str) -> dict[str, Any]:
    """A problem as it is answered."""
    retry = {"rate_limited": 200, "unavailable": 1000}.get(code)
    error = Rejected(code, words.DETAILS.get(code, CODES[code].remedy), retry_after_ms=retry)
    return {"summary": CODES[code].remedy, "value": problem_of(error)}


def _complete(operation: dict[str, Any], route: RouteContext, components: dict[str, Schema]) -> None:
    """One operation."""
    operation["summary"] = route.summary or words.summary_of(str(route.name))
    operation["security"] = security_of(route)
    operation.pop(CODES_KEY, None)
    for parameter in operation.get("parameters", ()):
        _complete_parameter(parameter, operation["operationId"])
    if "requestBody" in operation:
        _exemplify(operation["requestBody"]["content"], components)
    told = operation.pop(headers.TELLS_KEY, ())
    del operation["responses"]["default"]
    for response in operation["responses"].values():
        response["description"] = _meaning(response, components)
        _exemplify(response.get("content", {}), components)
        if found := headers.of_success(told, is_private=bool(operation["security"])):
            response["headers"] = found
    for status, codes in _by_status(codes_of(route)).items():
        operation["responses"].setdefault(str(status), _refusal(status, codes, told))
    operation["responses"] = dict(sorted(operation["responses"].items()))


def security_of(route: RouteContext) -> list[dict[str, list[str]]]:
    """Who may call it; nothing where nobody is asked."""
    asked = set(callables_of(route.dependant))
    if find_admin in asked:
        return [{BACKEND: ["admin"]}]
    if find_user in asked:
        return [{USER: []}]
    return [{USER: []}, {BACKEND: []}] if find_caller in asked else []


def _complete_parameter(parameter: dict[str, Any], operation_id: str) -> None:
    """A parameter that is left out is not there: it is never null."""
    schema: Schema = parameter["schema"]
    schemas.explain_field(operation_id, parameter["name"], schema)
    variants = [part for part in schema.pop("anyOf", ()) if part.get("type") != "null"]
    schema.update(*variants)
    schemas.tidy(schema)
    if parameter["in"] == "header":
        parameter["name"] = headers.spelling_of(parameter["name"])
    if "description" in schema:
        parameter["description"] = schema.pop("description")
    if examples := schema.pop("examples", None):
        parameter["example"] = examples[0]


def _exemplify(content: dict[str, Any], components: dict[str, Schema]) -> None:
    """An example for each body that has none of its own."""
    for media in content.values():
        schema = media.get("schema")
        if schema:
            schemas.tidy(schema)
            if not media.keys() & {"example", "examples"}:
                media["example"] = example_of(schema, components)


def _meaning(response: dict[str, Any], components: dict[str, Schema]) -> str:
    """What an answer is: what its schema says, unless the route says it."""
    if response["description"] != "Successful Response":
        return str(response["description"])
    schema = response.get("content", {}).get(JSON, {}).get("schema", {})
    if "$ref" in schema:
        return str(components[schemas.name_of(schema["$ref"])]["description"])
    return "The answer." if response.get("content") else _EMPTY


def _by_status(codes: Sequence[str]) -> dict[int, list[str]]:
    grouped: dict[int, list[str]] = {}
    for code in codes:
        grouped.setdefault(CODES[code].status, []).append(code)
    return grouped


def _refusal(status: int, codes: Sequence[str], told: Sequence[str]) -> dict[str, Any]:
    """An answer of that status: a problem with one of the codes."""
    return {
        "description": "\n".join(f"- `{code}`: {CODES[code].remedy}" for code in codes),
        "headers": headers.of_refusal(status, told),
        "content": {
            MEDIA_TYPE: {
                "schema": schemas.reference_to("Problem"),
                "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in codes},
            }
        },
        CODES_KEY: list(codes),
    }


def _used(document: dict[str, Any]) -> dict[str, Schema]:
    """The schemas that something refers to, by name."""
    found: set[str] = set()
    waiting = list(schemas.references(document["paths"]))
    shapes: dict[str, Schema] = document["components"]["schemas"]
    while waiting:
        name = waiting.pop()
        if name in shapes and name not in found:
            found.add(name)
            waiting += schemas.references(shapes[name])
    return {name: shapes[name] for name in sorted(found)}


def _tags(routes: Sequence[RouteContext]) -> list[dict[str, str]]:
    """Those that are used, in the order in which they are best read."""
    used = dict.fromkeys(str(tag) for route in routes for tag in route.tags)
    known = [tag for tag in words.TAGS if tag in used]
    return [
        {"name": tag, "description": words.TAGS.get(tag, "")} for tag in [*known, *(t for t in used if t not in known)]
    ]
