"""The one table from errors to HTTP answers: RFC 9457 problems with a stable code.

Whatever is raised below becomes an `AldisError` in `from_exception`, and that becomes the answer in `to_response`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from aldis.domain.callers import Caller, UserCaller
from aldis.domain.errors import CODES, AldisError, Rejected, Unavailable
from aldis.ports.store import Unstorable

MEDIA_TYPE = "application/problem+json"
PROBLEMS = "tag:aldis.dev,2026:problem:"  # RFC 4151: names a problem for ever, and promises no page behind it
MAX_WORDS = 300  # characters of a caller's own field names that we repeat
NOT_SUPPORTED_YET = frozenset({"push", "to.channel"})
BACKENDS_ONLY = frozenset({"send_at", "push"})
_CODE_OF_STATUS = {400: "bad_json", 401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed"}
_VARIANTS = {"text", "json"}  # pydantic names the variant of `content` in a path; callers do not write it


def add_error_table(app: FastAPI) -> None:
    """Answer every known error as a problem; the unknown ones rise to `access`."""
    app.add_exception_handler(AldisError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_error)
    app.add_exception_handler(HTTPException, _on_error)


async def _on_error(request: Request, error: Exception) -> Response:
    """Async, because FastAPI would run it in a thread otherwise."""
    known = as_told_to(getattr(request.state, "caller", None), from_exception(error))
    if isinstance(known, Rejected):
        request.app.state.api.metrics.rejected.labels(code=known.code).inc()
    announced: Mapping[str, str] = getattr(request.state, "rate_limit_headers", {})
    kept = getattr(error, "headers", None) or {}  # Allow, on a 405
    return to_response(known, headers={**announced, **kept})


def from_exception(error: Exception) -> Rejected | Unavailable:
    """The one of our errors that this is."""
    match error:
        case Rejected() | Unavailable():
            return error
        case Unstorable():
            return Rejected("unstorable", "the message cannot be stored as it is")
        case RequestValidationError():
            return from_validation(error.errors())
        case HTTPException() if isinstance(error.__cause__, AldisError):
            return from_exception(error.__cause__)  # FastAPI makes a 400 of what is raised while the body is read
        case HTTPException():
            return from_status(error.status_code)
        case _:
            return Rejected("internal", "this should not have happened")


def as_told_to(caller: Caller | None, error: Rejected | Unavailable) -> Rejected | Unavailable:
    """What is for backends alone is refused to users as such, also where it is not supported yet."""
    if isinstance(caller, UserCaller) and error.code == "bad_request" and error.field in BACKENDS_ONLY:
        return Rejected("forbidden_field", f"a user may not set {error.field}", field=error.field)
    return error


def from_status(status: int) -> Rejected:
    """What the framework refused by itself."""
    code = _CODE_OF_STATUS.get(status, "bad_request" if status < 500 else "internal")  # noqa: PLR2004 - server errors
    words = {
        "bad_json": "the body is not JSON that can be read",
        "not_found": "there is nothing at this path",
        "method_not_allowed": "this path has no such method",
    }
    return Rejected(code, words.get(code, "the request cannot be answered"))


def from_validation(mistakes: Sequence[Mapping[str, Any]]) -> Rejected:
    """The first mistake in a request, with its path. What was given is never repeated, but for names of fields."""
    mistake = mistakes[0]
    place, *rest = mistake["loc"]
    field = path_of(place, rest)[:MAX_WORDS]
    if mistake["type"] == "json_invalid":
        return Rejected("bad_json", "the body is not valid JSON")
    if place == "body" and not rest and mistake["type"] != "value_error":  # which is a check of ours, of an object
        return Rejected("bad_json", "send one JSON object, with Content-Type: application/json")
    return _refuse_field(field, mistake)


def _refuse_field(field: str, mistake: Mapping[str, Any]) -> Rejected:
    match mistake["type"]:
        case "extra_forbidden" if field in NOT_SUPPORTED_YET:
            return Rejected("bad_request", f"{field} is not supported yet", field=field)
        case "extra_forbidden":
            return Rejected("unknown_field", f"there is no field {field}", field=field)
        case "union_tag_invalid" | "union_tag_not_found":
            return _refuse_variant(f"{field}.type", mistake.get("ctx", {}).get("tag"))
        case "missing":
            return Rejected("bad_request", f"{field} is required", field=field)
        case _:
            words = mistake["msg"].removeprefix("Value error, ")
            return Rejected("bad_request", f"{field}: {words}" if field else words, field=field or None)


def path_of(place: str, rest: Sequence[str | int]) -> str:
    """A path as callers know it: `to.users.3`, `limit`, `Idempotency-Key`."""
    if place == "header":
        return str(rest[0]).title()
    parts = [str(part) for part in rest]
    if parts[:1] == ["content"] and len(parts) > 1 and parts[1] in _VARIANTS:
        del parts[1]
    return ".".join(parts)


def _refuse_variant(field: str, tag: str | None) -> Rejected:
    if tag == "media":
        return Rejected("bad_request", "content of type media is not supported yet", field=field)
    return Rejected("bad_request", f"{field} must be text or json", field=field)


def to_json(error: Rejected | Unavailable) -> dict[str, Any]:
    """An error inside an answer, as on the socket."""
    return {
        "code": error.code,
        "message": error.message,
        "field": error.field,
        "retryable": error.retryable,
        "retry_after_ms": error.retry_after_ms,
    }


def problem_of(error: Rejected | Unavailable) -> dict[str, Any]:
    """An error as RFC 9457 has it."""
    code = CODES.get(error.code, CODES["internal"])
    return {
        "type": f"{PROBLEMS}{error.code}",
        "title": error.code.replace("_", " ").capitalize(),
        "status": code.status,
        "detail": error.message,
        "code": error.code,
        "field": error.field,
        "retryable": error.retryable,
        "retry_after_ms": error.retry_after_ms,
        "remedy": code.remedy,
    }


def to_response(
    error: Rejected | Unavailable, *, headers: Mapping[str, str] | None = None, request_id: str | None = None
) -> Response:
    """An error as the whole answer."""
    problem = problem_of(error)
    if request_id is not None:
        problem["request_id"] = request_id
    return Response(
        msgspec.json.encode(problem),
        status_code=problem["status"],
        media_type=MEDIA_TYPE,
        headers={**(headers or {}), **_headers_of(error, problem["status"])},
    )


def _headers_of(error: Rejected | Unavailable, status: int) -> dict[str, str]:
    headers = {"cache-control": "no-store"}
    if error.retry_after_ms is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after_ms / 1000)))
    match status:
        case 401:
            headers["www-authenticate"] = "Bearer"
        case 413:
            headers["connection"] = "close"  # what is left of the body is not taken
        case _:
            pass
    return headers
