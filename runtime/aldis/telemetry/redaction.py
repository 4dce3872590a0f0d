"""What must never reach a log line: credentials and what people write to each other.

Values under telling names are dropped; credentials that stand inside other text (an error's words, a URL) are masked.
Objects are named by their class only, because their `repr` may hold a message.
"""

import re
from collections.abc import Mapping, MutableMapping
from datetime import date
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

DROPPED = "[redacted]"
MAX_DEPTH = 6  # levels of nesting; deeper ones are cut, as no log line needs them

_TELLING = re.compile(
    r"apikey|authorization|body|bodie|content|cookie|credential|jwt|key|passphrase|password|pepper|secret|signature|text|token",
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_CREDENTIALS = re.compile(
    r"""
      \bak_[\w.~-]+                                            # our API keys
    | \b(?:Bearer|Basic)\s+[^\s'",;]+                          # an Authorization header's value
    | \beyJ[\w-]*\.[\w-]+(?:\.[\w-]*)?                         # a JSON Web Token, whole or cut
    | (?<=[?&])[\w-]*(?:token|signature|secret|password|credential|key)[\w-]*=[^\s&'"]+   # in a URL's query
    | (?<=://)[^\s/@'"]+:[^\s/@'"]*(?=@)                       # user and password of a URL
    """,
    re.VERBOSE | re.IGNORECASE,
)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor: the same entries without what must not be told."""
    return {name: _redact_entry(name, value, MAX_DEPTH) for name, value in event.items()}


def mask(text: str) -> str:
    """The text without credentials."""
    return _CREDENTIALS.sub(DROPPED, text)


def _redact_entry(name: str, value: Any, depth: int) -> Any:
    """The value, if its name does not give it away; structlog's own entries (`_record`) pass untouched."""
    if name.startswith("_"):
        return value
    return DROPPED if _is_telling(name) else _redact_value(value, depth)


def _is_telling(name: str) -> bool:
    return any(_TELLING.fullmatch(word.lower().removesuffix("s")) for word in _WORD.findall(name))


def _redact_value(value: Any, depth: int) -> Any:
    match value:
        case Enum():
            return _redact_value(value.value, depth)
        case str():
            return mask(value)
        case None | bool() | int() | float():
            return value
        case date() | PurePath() | UUID() | BaseException():
            return mask(str(value))
        case bytes() | bytearray() | memoryview():
            return f"<{len(value)} bytes>"
        case _:
            return _redact_collection(value, depth)


def _redact_collection(value: Any, depth: int) -> Any:
    if depth == 0:
        return "<…>"
    if isinstance(value, Mapping):
        return {mask(str(name)): _redact_entry(str(name), inner, depth - 1) for name, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_redact_value(inner, depth - 1) for inner in value]
    return f"<{type(value).__name__}>"
