"""Calls of every operation as its description allows them, and as it does not, made by schemathesis.

`Caller.call` sends a case in somebody's name and holds the answer to the description; what it finds is kept by
operation and words, so that one mistake is told once.
"""

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core import NOT_SET
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok

import described
from aldis.api.schemas import MAX_BATCH

AnyCase = Case[Any]
AnyOperation = APIOperation[Any, Any, Any, Any]
STREAM = "stream_events"  # its answer has no end: of that one only the beginning is looked at
SECONDS = 20  # for an answer
CHECKED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
POSITIVE = GenerationMode.POSITIVE
BEYOND_SCHEMAS = {  # right by its schema, and refused all the same: what a schema cannot say
    ("send_message", "send_at"),  # it has passed, or is too far ahead
    ("send_message", "channel"),  # it has the wrong type for such a message
    ("send_message", "content.data"),  # it is nested too deeply
    ("send_message", "to"),
    ("send_message", "to.channel"),
    ("send_message", "to.user"),  # oneself
    ("send_message", "to.users"),  # twice the same
    ("get_history", None),  # two places at once
    ("admin_purge_dead_letters", None),  # all of them, without saying so
    ("admin_purge_dead_letters", "all"),
    ("subscribe", "channel"),  # nobody subscribes to a chat
    ("unsubscribe", "channel"),
    ("put_block", "user"),  # oneself
    ("admin_put_channel", "If-Match"),
    ("admin_delete_channel", "If-Match"),
    ("admin_search_messages", "from"),  # before 1970
    ("admin_search_messages", "until"),
}
SPEC_RULES = (
    "audience",
    "history",
    "chat",
    "chat.agents",
    "delivery.timeToLive",
    "delivery.backoff",
)  # two fields at once


class Known:
    """Names and ids that are there, to be used in the place of invented ones in every second case."""

    def __init__(self, values: Mapping[str, list[str]], number: int) -> None:
        self._values = values
        self._random = random.Random(number)

    def use_in(self, case: AnyCase, operation_id: str) -> None:
        """Put known values into the path."""
        for name in dict(case.path_parameters or {}) if "path_parameters" not in broken_parts(case) else ():
            known = self._values.get(f"{operation_id}.{name}") or self._values.get(name)
            if known and self._random.random() < 0.5:
                case.path_parameters[name] = self._random.choice(known)
        if operation_id == "sync" and isinstance(case.query, dict):
            case.query["wait"] = 0  # nobody waits here
        case.body = as_written(case.body)


def as_written(value: Any) -> Any:
    """Whole numbers without a point, as writers of JSON have them: for a schema both are the same."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: as_written(part) for key, part in value.items()}
    return [as_written(part) for part in value] if isinstance(value, list) else value


@dataclass
class Findings:
    """What was called, and what was wrong about it."""

    calls: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    known: set[str] = field(default_factory=set)
    accepted: set[str] = field(default_factory=set)  # operations that did what they were asked, at least once
    wrong: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, operation: str, caller: str, words: str, case: AnyCase) -> None:
        """Keep one, with the call that shows it."""
        first = words.split("\n\n", maxsplit=1)[0][:300]
        self.wrong.setdefault((operation, first), f"{operation} as {caller}: {words[:1500]}\n{_curl(case)}")

    @property
    def never_accepted(self) -> set[str]:
        """Operations of which nothing is known but how they refuse."""
        return self.known - self.accepted

    def told(self) -> str:
        """All of them."""
        return "\n\n".join(["", *self.wrong.values()])


def _curl(case: AnyCase) -> str:
    return case.as_curl_command()[:600]


class Caller:
    """One who calls, with a credential or without."""

    def __init__(self, name: str, credential: str | None, url: str, findings: Findings) -> None:
        load_all_checks()
        self.name = name
        self._url = url
        self._headers = {"Authorization": f"Bearer {credential}"} if credential is not None else {}
        self._findings = findings
        self._checks: list[Any] = CHECKS.get_by_names(list(CHECKED))
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.mount("http://", HTTPAdapter(pool_maxsize=1))

    def call(self, case: AnyCase, operation_id: str) -> None:
        """Send it; keep what is wrong with the answer."""
        asked = case.as_transport_kwargs(base_url=self._url)
        asked["headers"] = {**asked.get("headers", {}), **self._headers}
        if not self._headers:
            asked["headers"].pop("Authorization", None)
        with self._session.request(**asked, stream=True, timeout=SECONDS) as response:
            self._findings.calls += 1
            self._findings.statuses[response.status_code] += 1
            is_stream = operation_id == STREAM and response.ok
            words = _mistake(lambda: self._check(case, operation_id, response, is_stream=is_stream))
        if words is not None:
            self._findings.add(operation_id, self.name, words, case)

    def _check(self, case: AnyCase, operation_id: str, response: requests.Response, *, is_stream: bool) -> None:
        kind = response.headers.get("content-type", "").partition(";")[0]
        if is_stream:
            self._findings.accepted.add(operation_id)
            assert next(response.iter_content(4096)).startswith(b"retry:"), "a stream begins with its retry time"
            return
        body = response.json() if kind.endswith("json") and response.content else None
        method, path = response.request.method or "", (response.request.path_url or "").partition("?")[0]
        described.check_answer(method, path, response.status_code, response.headers, kind, body)
        if response.request.method != case.operation.method.upper():
            return  # a method that it does not have
        case.validate_response(response, checks=self._checks)
        self._check_judgement(case, operation_id, response.status_code, body)

    def _check_judgement(self, case: AnyCase, operation_id: str, status: int, body: Any) -> None:
        """What its schema allows is not refused as wrong, and what it does not allow is not accepted."""
        is_right = case.meta is not None and case.meta.generation.mode is POSITIVE
        if status < 300:
            self._findings.accepted.add(operation_id)
            assert is_right or not _is_broken(case) or _is_batch(operation_id, case), f"accepted though {_why(case)}"
        if status == 400 and is_right:
            assert _is_beyond(operation_id, body["code"], body["field"]), f"refused though right: {body['detail']}"


def broken_parts(case: AnyCase) -> set[str]:
    """The parts of a case that its schema does not allow."""
    assert case.meta is not None
    broken = {name.value for name, part in case.meta.components.items() if part.mode is not POSITIVE}
    return broken - {"body"} if case.body is NOT_SET else broken  # a body that may be left out is no mistake


def _is_broken(case: AnyCase) -> bool:
    """Whether what is wrong about a case arrives: nobody sees an unknown header or an unknown cookie."""
    return bool(broken_parts(case) & {"body", "path_parameters"})


def _is_batch(operation_id: str, case: AnyCase) -> bool:
    """Whether it is a batch in itself: what is wrong about a message of it is told in that message's own answer."""
    body: Any = case.body
    is_batch = operation_id == "send_batch" and isinstance(body, dict) and body.keys() == {"messages"}
    return is_batch and isinstance(body["messages"], list) and 1 <= len(body["messages"]) <= MAX_BATCH


def _why(case: AnyCase) -> str:
    return str(case.meta.phase.data) if case.meta is not None else ""


def _is_beyond(operation_id: str, code: str, field_: str | None) -> bool:
    if code == "bad_cursor" or (operation_id, field_) in BEYOND_SCHEMAS:
        return True
    return operation_id == "admin_put_channel" and field_ is not None and field_.startswith(SPEC_RULES)


def _mistake(check: Any) -> str | None:
    """The words of what failed; None when nothing did."""
    try:
        check()
    except FailureGroup as group:
        return "; ".join(f"{type(each).__name__}: {each}" for each in group.exceptions)
    except AssertionError as error:
        return str(error)
    return None


def operations(document: dict[str, Any]) -> Iterator[tuple[str, AnyOperation]]:
    """Each operation with its id."""
    schema = schemathesis.openapi.from_dict(document)
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), "the description is right"
        operation = found.ok()
        yield operation.definition.raw["operationId"], operation


def edge_cases(operation: AnyOperation) -> Iterator[AnyCase]:
    """Each field at its limits and beyond, each left out, other methods: no chance in it."""
    schema = operation.schema
    yield from schema.iter_coverage_cases(
        operation,
        generation_modes=list(GenerationMode),
        generation_config=schema.config.generation_for(operation=operation),
    )


def random_cases(operation: AnyOperation, number: int, how_many: int) -> list[AnyCase]:
    """Anything that the schema allows, or does not; the same number makes the same cases."""
    found: list[AnyCase] = []
    modes = st.one_of(operation.as_strategy(POSITIVE), operation.as_strategy(GenerationMode.NEGATIVE))

    @seed(number)
    @settings(
        max_examples=how_many,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(modes)
    def keep(case: AnyCase) -> None:
        found.append(case)

    keep()
    return found
