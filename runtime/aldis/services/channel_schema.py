"""The JSON Schema of a channel's `spec`: one for the HTTP interface and for the custom resource.

It is whole in itself, without references, as custom resources need it. What depends on two fields at once is beyond it
and checked by `parse_channel` alone: what only one type of channel may have, and the order of the two backoffs.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from aldis.services.apply_channel import Spec

_END = "(?!\\n)"  # says in Python what `$` says everywhere else
_EXAMPLE: dict[str, Any] = {
    "type": "Notification",
    "displayName": "Orders",
    "delivery": {"priority": "high", "timeToLive": "24h"},
    "limits": {"messagesPerSecond": 500},
}


@cache
def channel_schema() -> dict[str, Any]:
    """The schema; not to be changed by those who get it."""
    whole = msgspec.json.schema(Spec)
    schema: dict[str, Any] = _inline(whole["$defs"]["Spec"], whole["$defs"])
    return {**schema, "examples": [_EXAMPLE]}


def _inline(part: Any, parts: Mapping[str, Any]) -> Any:
    if isinstance(part, list):
        return [_inline(each, parts) for each in part]
    if not isinstance(part, dict):
        return part.removesuffix(_END) if isinstance(part, str) else part
    found = {key: _inline(value, parts) for key, value in part.items() if key != "default" or _is_plain(value)}
    target = found.pop("$ref", None)
    if target is None:
        return _typed(found)
    return {**_inline(parts[target.rpartition("/")[2]], parts), **found}


def _is_plain(default: object) -> bool:
    """Whether a default says something that the defaults of its parts do not."""
    return default is not None and not isinstance(default, (dict, list, tuple))


def _typed(schema: dict[str, Any]) -> dict[str, Any]:
    """Without the titles of our classes; an enum says that it is text."""
    if isinstance(schema.get("title"), str):
        del schema["title"]
    return {"type": "string", **schema} if isinstance(schema.get("enum"), list) else schema
