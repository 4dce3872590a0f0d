"""Which problems a call may answer: some follow from how it is called, the others are said at its route.

A test holds every answer of the tests to it.
"""

from collections.abc import Iterator
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext

from aldis.api.auth import find_admin, find_caller, find_user
from aldis.domain.errors import CODES

CODES_KEY = "x-problem-codes"
ALWAYS = ("rate_limited", "internal")
OF_CALLERS = ("unauthorized", "unavailable")
OF_BODIES = ("bad_json", "bad_request", "unknown_field", "too_large")


def raises(*codes: str) -> dict[str, Any]:
    """The `openapi_extra` of a route whose service refuses with these, beside what every such call may answer."""
    unknown = set(codes) - CODES.keys()
    assert not unknown, f"no such codes: {unknown}"
    return {CODES_KEY: list(codes)}


def codes_of(route: RouteContext) -> list[str]:
    """All codes that a call of this route may be answered with, in the order of the contract's table."""
    found = {*ALWAYS, *(route.openapi_extra or {}).get(CODES_KEY, ()), *_of_call(route), *_of_caller(route.dependant)}
    return [code for code in CODES if code in found]


def _of_call(route: RouteContext) -> Iterator[str]:
    dependant = route.dependant
    if route.body_field is not None:
        yield from OF_BODIES
    if dependant.path_params or dependant.header_params:
        yield "bad_request"
    for field in dependant.query_params:
        yield "bad_request"
        fields = getattr(field.field_info.annotation, "model_fields", None)
        if fields is not None:  # a model of ours refuses what it does not know
            yield "unknown_field"
            yield from ("bad_cursor",) if "cursor" in fields else ()


def _of_caller(dependant: Dependant) -> Iterator[str]:
    asked = set(callables_of(dependant))
    if find_caller in asked:
        yield from OF_CALLERS
    if asked & {find_user, find_admin}:
        yield "forbidden"


def callables_of(dependant: Dependant) -> Iterator[Any]:
    """All that a route depends on."""
    for part in dependant.dependencies:
        yield part.call
        yield from callables_of(part)
