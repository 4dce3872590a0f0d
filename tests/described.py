"""What tests are answered and told, held to the descriptions of REST and of the socket.

Every shared client of the tests hands over what it gets, so each test is a test of the descriptions as well. They are
taken strictly: a field that is not described fails here, though clients are asked to ignore those they do not know.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from typing import Any, NamedTuple

import httpx2
from jsonschema import Draft202012Validator

from aldis.api.app import build_routes
from aldis.api.problems import CODES_KEY
from aldis.contract.schemas import Schema, name_of
from aldis.gateway.asyncapi import build_asyncapi

Json = dict[str, Any]
TOLD_HEADERS = (  # where one of these is answered, the description says so; the rest is HTTP's own
    "cache-control",
    "etag",
    "idempotent-replayed",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "www-authenticate",
)
MUST_ALWAYS = ("cache-control", "www-authenticate")  # these stand on every answer that is said to have them
MUST = (*MUST_ALWAYS, "retry-after")  # this one where it makes sense to come back
PROBLEM = "application/problem+json"


class Operation(NamedTuple):
    """An operation and what its path looks like."""

    path: re.Pattern[str]
    method: str
    about: Json


# -- REST -------------------------------------------------------------------------------------------------------


@cache
def rest_document() -> Json:
    """The OpenAPI document."""
    return build_routes().openapi()


@cache
def operations() -> list[Operation]:
    """All of them, the most literal path first."""
    found = [
        Operation(re.compile(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(path))), method.upper(), about)
        for path, methods in rest_document()["paths"].items()
        for method, about in methods.items()
    ]
    return sorted(found, key=lambda each: each.path.pattern.count("[^/]+"))


def find_operation(method: str, path: str) -> Json | None:
    """The operation of a call; None when there is none."""
    return next((each.about for each in operations() if each.method == method and each.path.fullmatch(path)), None)


async def check_response(response: httpx2.Response) -> None:
    """Hold an answer to the description; an event hook for clients."""
    kind = response.headers.get("content-type", "").partition(";")[0]
    if kind != "text/event-stream":
        await response.aread()
    body = response.json() if kind.endswith("json") and response.content else None
    check_answer(response.request.method, response.request.url.path, response.status_code, response.headers, kind, body)


def check_answer(method: str, path: str, status: int, headers: Mapping[str, str], kind: str, body: Any) -> None:
    """Raise `AssertionError` for an answer that is not described."""
    operation = find_operation(method, path)
    if operation is None:
        assert status in {400, 401, 403, 404, 405, 413, 429}, f"{method} {path} is not described, but answers {status}"
        return
    where = f"{operation['operationId']} {status}"
    answer = operation["responses"].get(str(status))
    assert answer is not None, f"{where}: not described (answered {body})"
    assert kind == next(iter(answer.get("content", {"": None}))), f"{where}: answered {kind!r}"
    if body is not None:
        check_value(answer["content"][kind]["schema"], body, where)
    if kind == PROBLEM:
        assert body["code"] in answer[CODES_KEY], f"{where}: may not be {body['code']} ({body['detail']})"
        assert body["status"] == status
    described = {name.lower() for name in answer.get("headers", {})}
    told = {name for name in TOLD_HEADERS if name in headers}
    assert told <= described | {"cache-control"}, f"{where}: headers {told - described} are not described"
    must = MUST if body is None or body.get("retry_after_ms", 0) is not None else MUST_ALWAYS
    missing = {name for name in described.intersection(must) if name not in headers}
    assert not missing, f"{where}: described headers {missing} are missing"


def check_value(schema: Schema, value: Any, where: str) -> None:
    """Raise `AssertionError` unless the schema of REST allows the value, with nothing in it that it does not name."""
    check_strictly({**schema, "components": rest_components()}, value, where)


@cache
def rest_components() -> Json:
    """The schemas of REST, closed."""
    return {"schemas": closed(rest_document()["components"]["schemas"])}


# -- the socket -------------------------------------------------------------------------------------------------


@cache
def socket_document() -> Json:
    """The AsyncAPI document."""
    return build_asyncapi()


@cache
def socket_components() -> Json:
    """The schemas of the socket, closed."""
    return {"schemas": closed(socket_document()["components"]["schemas"])}


def kinds_of(frame: Json, *, by_client: bool) -> list[str]:
    """The kind of a frame, and of all events in it, by the names of their schemas."""
    (what,) = [key for key in frame if key not in {"id", "source"}]
    if by_client:
        return [f"{what.title()}Command"]
    match what:
        case "events":
            kind = "StateNews" if frame["source"] == "r" else "MessageNews"
            return [kind, *(f"{event['type'].title().replace('.', '')}Event" for event in frame["events"])]
        case "ephemeral":
            return ["EphemeralNews", *(news["type"].title() for news in frame["ephemeral"])]
        case "ping" | "disconnect":
            return [f"{what.title()}News"]
        case "pong":
            return ["PingReply"]
        case _:
            return [f"{what.title()}Reply"]


_recorders: list[set[str]] = []


@contextmanager
def recording() -> Iterator[set[str]]:
    """The kinds of everything that is checked meanwhile, and the sources that were told of."""
    seen: set[str] = set()
    _recorders.append(seen)
    try:
        yield seen
    finally:
        _recorders.remove(seen)


def check_frame(frame: Json, *, by_client: bool = False) -> list[str]:
    """Raise `AssertionError` for a frame that is not described; answers what kinds of things it is."""
    kinds = kinds_of(frame, by_client=by_client)
    assert kinds[0] in socket_components()["schemas"], f"{kinds[0]} is not described: {frame}"
    check_strictly({"$ref": f"#/components/schemas/{kinds[0]}", "components": socket_components()}, frame, kinds[0])
    for seen in _recorders:
        seen.update(kinds, [frame["source"]] if "source" in frame else [])
    return kinds


# -- schemas ----------------------------------------------------------------------------------------------------


def check_strictly(schema: Schema, value: Any, where: str) -> None:
    """Raise `AssertionError` with the first mistake."""
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    mistake = next(validator.iter_errors(value), None)
    assert mistake is None, f"{where} at {mistake.json_path}: {mistake.message[:600]}"


def closed(schemas: Mapping[str, Schema]) -> dict[str, Schema]:
    """Schemas whose objects may have no fields but those that are described."""
    return {name: _closed(deepcopy(schema)) for name, schema in schemas.items()}


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        schema.setdefault("additionalProperties", False)
    return {key: value if key in {"examples", "default"} else _closed(value) for key, value in schema.items()}


def all_references(document: Any) -> Iterator[str]:
    """Every name that something in a document refers to."""
    if isinstance(document, dict):
        if isinstance(target := document.get("$ref"), str):
            yield name_of(target)
        document = list(document.values())
    if isinstance(document, list):
        for part in document:
            yield from all_references(part)
