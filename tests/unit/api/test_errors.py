import json
from typing import Any

import pytest
from starlette.exceptions import HTTPException

from aldis.api.errors import from_exception, from_status, from_validation, path_of, to_json, to_response
from aldis.domain.errors import CODES, Rejected, Unavailable
from aldis.ports.store import Contention, Unstorable


def mistake(kind: str, *loc: str | int, msg: str = "wrong", **more: Any) -> list[dict[str, Any]]:
    return [{"type": kind, "loc": loc, "msg": msg, **more}]


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_has_its_answer(code: str) -> None:
    """The status is the table's, the body a problem with the same code and what to do."""
    response = to_response(Rejected(code, "words", field="to.user"))

    problem = json.loads(bytes(response.body))
    assert response.status_code == problem["status"] == CODES[code].status
    assert response.media_type == "application/problem+json"
    assert (problem["code"], problem["detail"], problem["field"]) == (code, "words", "to.user")
    assert problem["remedy"] == CODES[code].remedy


def test_an_unavailable_service_says_when_to_come_back() -> None:
    """503 with Retry-After, in whole seconds rounded up, and the precise wait in the body."""
    response = to_response(Unavailable("the database does not answer", retry_after_ms=1_001))

    assert response.status_code == 503
    assert response.headers["retry-after"] == "2"
    assert json.loads(bytes(response.body))["retry_after_ms"] == 1_001


def test_a_wait_of_milliseconds_is_told_as_a_second() -> None:
    """Retry-After knows no less."""
    response = to_response(Rejected("rate_limited", "slow down", retry_after_ms=3))

    assert response.headers["retry-after"] == "1"


def test_unauthorized_names_the_scheme() -> None:
    """RFC 9110 §11.6.1 wants a challenge with every 401."""
    assert to_response(Rejected("unauthorized", "no")).headers["www-authenticate"] == "Bearer"


def test_a_code_that_nobody_declared_is_our_fault() -> None:
    """It answers 500 rather than something made up."""
    assert to_response(Rejected("made_up", "words")).status_code == 500


@pytest.mark.parametrize(
    ("mistakes", "code", "field"),
    [
        (mistake("extra_forbidden", "body", "colour"), "unknown_field", "colour"),
        (mistake("extra_forbidden", "body", "to", "colour"), "unknown_field", "to.colour"),
        (mistake("extra_forbidden", "query", "befor"), "unknown_field", "befor"),
        (mistake("extra_forbidden", "body", "push"), "bad_request", "push"),
        (mistake("extra_forbidden", "body", "to", "channel"), "bad_request", "to.channel"),
        (mistake("missing", "body", "content"), "bad_request", "content"),
        (mistake("missing", "body", "content", "text", "text"), "bad_request", "content.text"),
        (mistake("string_type", "body", "to", "users", 3), "bad_request", "to.users.3"),
        (mistake("union_tag_invalid", "body", "content", ctx={"tag": "media"}), "bad_request", "content.type"),
        (mistake("union_tag_not_found", "body", "content"), "bad_request", "content.type"),
        (mistake("string_pattern_mismatch", "header", "idempotency-key"), "bad_request", "Idempotency-Key"),
        (mistake("string_pattern_mismatch", "path", "message_id"), "bad_request", "message_id"),
        (mistake("value_error", "query", msg="Value error, at most one"), "bad_request", None),
        (mistake("json_invalid", "body", 17), "bad_json", None),
        (mistake("model_attributes_type", "body"), "bad_json", None),
        (mistake("missing", "body"), "bad_json", None),
    ],
)
def test_a_mistake_in_a_request_names_its_place(mistakes: list[dict[str, Any]], code: str, field: str | None) -> None:
    """The code tells what kind of mistake it is, the field where."""
    refusal = from_validation(mistakes)

    assert (refusal.code, refusal.field) == (code, field)


@pytest.mark.parametrize("field", ["push"])
def test_what_is_not_there_yet_is_said_so(field: str) -> None:
    """The contract has these fields; saying that they do not exist would be wrong."""
    assert "not supported yet" in from_validation(mistake("extra_forbidden", "body", field)).message


def test_a_long_name_is_not_repeated_whole() -> None:
    """A caller's own words are cut."""
    assert len(from_validation(mistake("extra_forbidden", "body", "x" * 100_000)).message) < 400


def test_a_path_is_as_callers_write_it() -> None:
    """A field of `content` called like a variant keeps its name."""
    assert path_of("body", ["content", "json", "data"]) == "content.data"
    assert path_of("body", ["content"]) == "content"


@pytest.mark.parametrize(
    ("status", "code"), [(404, "not_found"), (405, "method_not_allowed"), (400, "bad_json"), (418, "bad_request")]
)
def test_what_the_framework_refuses_has_a_code(status: int, code: str) -> None:
    """Also what never reaches a handler answers as a problem."""
    assert from_status(status).code == code


def test_what_was_raised_while_a_body_was_read_is_the_answer() -> None:
    """FastAPI wraps it into a 400; the cause is what happened."""
    wrapped = HTTPException(400)
    wrapped.__cause__ = Rejected("too_large", "too much")

    assert from_exception(wrapped).code == "too_large"


def test_the_stores_own_errors_have_answers() -> None:
    """Contention that was not overcome is a 503, a row that cannot be stored a 422."""
    assert from_exception(Contention("again")).code == "unavailable"
    assert from_exception(Unstorable()).code == "unstorable"


def test_an_error_among_several_answers_is_as_on_the_socket() -> None:
    """Same five fields."""
    assert to_json(Unavailable("later")) == {
        "code": "unavailable",
        "message": "later",
        "field": None,
        "retryable": True,
        "retry_after_ms": 1000,
    }
