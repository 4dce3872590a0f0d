"""The headers of answers, as the description of REST tells them."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

TELLS_KEY = "x-tells"
_SPELLING = {"last-event-id": "Last-Event-ID"}  # else each word begins with a capital
_HEADERS: dict[str, tuple[str, str]] = {
    "Cache-Control": ("Answers to callers are for them alone.", "no-store"),
    "ETag": ("The version. It goes back in `If-Match` or `If-None-Match`.", '"5f0d7c1e9a3b2468"'),
    "Idempotent-Replayed": ("`true` when all of it was stored by an earlier call with this `Idempotency-Key`.", "true"),
    "RateLimit": ("What is left, and in how many seconds it is full again.", '"user";r=19;t=1'),
    "RateLimit-Policy": ("The burst, and in how many seconds it fills.", '"user";q=20;w=4'),
    "Retry-After": ("Seconds to wait, rounded up.", "1"),
    "WWW-Authenticate": ("How to say who you are.", "Bearer"),
}
_ON_REFUSALS = frozenset({"RateLimit", "RateLimit-Policy"})


def tells(*names: str) -> dict[str, Any]:
    """The `openapi_extra` of a route whose answers have these headers."""
    unknown = set(names) - _HEADERS.keys()
    assert not unknown, f"no such headers: {unknown}"
    return {TELLS_KEY: list(names)}


def spelling_of(name: str) -> str:
    """A header's name as people write it."""
    return _SPELLING.get(name, name.title())


def of_success(told: Sequence[str], *, is_private: bool) -> dict[str, Any]:
    """The headers of an answer that is no refusal."""
    names = {*told, *(["Cache-Control"] if is_private else [])}
    return {name: header(name) for name in sorted(names)}


def of_refusal(status: int, told: Sequence[str]) -> dict[str, Any]:
    """The headers of a problem."""
    names = {"Cache-Control", *_ON_REFUSALS.intersection(told)}
    match status:
        case HTTPStatus.UNAUTHORIZED:
            names.add("WWW-Authenticate")
        case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.SERVICE_UNAVAILABLE:
            names.add("Retry-After")
        case _:
            pass
    return {name: header(name) for name in sorted(names)}


def header(name: str) -> dict[str, Any]:
    """One header."""
    meaning, example = _HEADERS[name]
    return {"description": meaning, "schema": {"type": "string"}, "example": example}
