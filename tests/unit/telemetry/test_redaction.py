import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aldis.telemetry.redaction import DROPPED, mask, redact

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm5hIn0.c2lnbmF0dXJl"
API_KEY = "ak_7f3k_s3cr3t-Value.1"
CREDENTIALS = st.sampled_from([TOKEN, API_KEY, f"Bearer {TOKEN}", "Bearer opaque-value"])
WORDS = st.text(st.characters(codec="latin-1"), max_size=20)


def line(**entries: Any) -> dict[str, Any]:
    return dict(redact(None, "info", entries))


@dataclass
class Draft:
    content: str


@pytest.mark.parametrize(
    "name",
    [
        "token", "push_token", "pushToken", "tokens", "Authorization", "secret", "client_secret", "password", "content",
        "text", "body", "request_body", "key", "api_key", "apiKey", "APIKey", "idempotency-key", "S3_SECRET_KEY",
        "cookie",
    ],
)  # fmt: skip
def test_values_under_telling_names_are_dropped(name: str) -> None:
    """A name that speaks of credentials or of what people write hides its value, however it is spelled."""
    assert line(**{name: "hello"}) == {name: DROPPED}


@pytest.mark.parametrize(
    "entries",
    [{"conversation_id": "0190"}, {"seq": 7}, {"keyboard": "de"}, {"context": "x"}, {"ok": True}, {"at": None}],
)
def test_other_values_pass(entries: dict[str, Any]) -> None:
    """Ids, numbers and words that only look alike are told as they are."""
    assert line(**entries) == entries


@settings(deadline=None)
@given(before=WORDS, credential=CREDENTIALS, after=WORDS)
def test_a_credential_inside_a_text_never_comes_out(before: str, credential: str, after: str) -> None:
    """Wherever a token or key stands on its own in a text, it is masked."""
    masked = mask(f"{before} {credential} {after.lstrip('=')}")

    assert credential.removeprefix("Bearer ") not in masked.removeprefix(before)


@settings(deadline=None)
@given(credential=CREDENTIALS, path=st.lists(st.sampled_from(["list", "dict", "tuple"]), max_size=8))
def test_a_credential_inside_a_structure_never_comes_out(credential: str, path: list[str]) -> None:
    """Lists and dictionaries are searched, and cut where they are too deep."""
    value: Any = credential
    for step in path:
        value = {"dict": {"inner": value}, "list": [value], "tuple": (value,)}[step]

    assert credential not in json.dumps(line(value=value))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET /files/1?X-Amz-Signature=abc&x=1", f"GET /files/1?{DROPPED}&x=1"),
        ("GET /ws?access_token=abc HTTP/1.1", f"GET /ws?{DROPPED} HTTP/1.1"),
        ("cannot reach postgresql://aldis:pw@db:5432/aldis", f"cannot reach postgresql://{DROPPED}@db:5432/aldis"),
        ("the task broke_down at peak_load", "the task broke_down at peak_load"),
    ],
)
def test_urls_keep_their_form_but_not_their_secrets(text: str, expected: str) -> None:
    """Signatures, tokens and passwords in URLs are masked, the rest stays readable."""
    assert mask(text) == expected


def test_objects_and_bytes_are_named_not_shown() -> None:
    """The repr of an object may hold a message, so only its class or its length is told."""
    assert line(draft=Draft("hello"), frame=b"hello") == {"draft": "<Draft>", "frame": "<5 bytes>"}


def test_an_errors_words_are_masked() -> None:
    """An exception passed as a value is told by its words, without credentials."""
    assert line(error=ValueError(f"bad {API_KEY}")) == {"error": f"bad {DROPPED}"}
