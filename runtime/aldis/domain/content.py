"""Content: what a message may carry, checked and brought into its one JSON form."""

import json
from json.encoder import encode_basestring

from aldis.domain.errors import Rejected

MAX_CONTENT_BYTES = 32 * 1024  # of the JSON of a text or of structured data
_to_json = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False
).encode  # `dumps` makes one a call
MAX_DEPTH = 32  # levels of nesting; deeper documents are a trap for recursive readers


def text_content(text: str, *, limit: int = MAX_CONTENT_BYTES, field: str = "content.text") -> bytes:
    """The JSON of a text. Raises `Rejected` for an empty, oversized or unencodable one."""
    if not text:
        raise Rejected("bad_request", "the text is empty", field=field)
    if "\0" in text:
        raise _nul(field)
    return _checked(f'{{"type":"text","text":{encode_basestring(text)}}}', limit, field)


def json_content(value: object, *, limit: int = MAX_CONTENT_BYTES, field: str = "content.data") -> bytes:
    """The JSON of structured data. Raises `Rejected` when it is too large, too deep or not JSON."""
    _check_depth(value, field)
    try:
        encoded = _to_json({"type": "json", "data": value})
    except (ValueError, TypeError) as error:
        raise _no_text(field) from error
    if "\0" in _strings(value):
        raise _nul(field)
    return _checked(encoded, limit, field)


def check_content_size(content: bytes, limit: int, field: str = "content") -> None:
    """Raise `Rejected("too_large")` when the JSON of a content exceeds `limit` bytes."""
    if len(content) > limit:
        raise Rejected(
            "too_large", f"the content has {len(content)} bytes of JSON; at most {limit} are allowed", field=field
        )


def _checked(encoded: str, limit: int, field: str) -> bytes:
    try:
        content = encoded.encode()
    except UnicodeEncodeError as error:
        raise _no_text(field) from error
    check_content_size(content, limit, field)
    return content


def _no_text(field: str) -> Rejected:
    return Rejected("bad_request", "the content is not valid JSON text (UTF-8, no NaN)", field=field)


def _nul(field: str) -> Rejected:
    return Rejected("bad_request", "the content holds a NUL character", field=field)


def _strings(value: object) -> str:
    """All strings of a value, keys included, in one."""
    if isinstance(value, dict):
        return "".join(map(_strings, [*value.keys(), *value.values()]))
    if isinstance(value, list):
        return "".join(map(_strings, value))
    return value if isinstance(value, str) else ""


def _check_depth(value: object, field: str) -> None:
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        level = [child for item in level for child in _children(item)]
        if not level:
            return
    raise Rejected("bad_request", f"the data is nested deeper than {MAX_DEPTH} levels", field=field)


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else []
