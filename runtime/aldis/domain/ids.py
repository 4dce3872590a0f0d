"""Identifiers: which are ours, which are the caller's, and how each is made.

Ours are UUIDv7 (RFC 9562 §5.7) as 36-character text, so that their text order is their time order. A conversation's is
a UUIDv5 of what defines it: two first messages at once need no look-up and make no twin.
"""

import json
import os
import re
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import NewType

from aldis.domain.errors import Rejected

UserId = NewType("UserId", str)
DeviceId = NewType("DeviceId", str)
MessageId = NewType("MessageId", str)
ConversationId = NewType("ConversationId", str)

MAX_NAME = 128  # characters of a caller's own id
NOISE_BYTES = 10  # of an id: 74 bits are used
DRAWN = 256  # numbers fetched at once
_NAME = re.compile(rf"[A-Za-z0-9._:@-]{{1,{MAX_NAME}}}")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_CONVERSATIONS = uuid.UUID("b1c0f7a4-52f7-5e0c-9d2e-5a1d6f0c8a11")  # the namespace of conversation ids, fixed for ever


def check_name(value: str, field: str) -> str:
    """Return a caller's own id (user, device, channel), or raise `Rejected` naming `field`."""
    if not _NAME.fullmatch(value):
        raise Rejected("bad_request", f"{field} must be 1-{MAX_NAME} characters of A-Z a-z 0-9 . _ : @ -", field=field)
    return value


def check_uuid(value: str, field: str) -> str:
    """Return an id of our making, or raise `Rejected` naming `field`."""
    if not _UUID.fullmatch(value):
        raise Rejected("bad_request", f"{field} must be a lower-case UUID", field=field)
    return value


class _Noise:
    """Random numbers of 80 bits, fetched from the system many at a time: asking for each costs more than its id."""

    def __init__(self) -> None:
        self._drawn: list[int] = []  # a list gives each of its numbers to one thread only
        os.register_at_fork(after_in_child=self._drawn.clear)  # two processes must not share any

    def __call__(self) -> int:
        try:
            return self._drawn.pop()
        except IndexError:
            first, *more = self._draw()
            self._drawn += more
            return first

    def _draw(self) -> list[int]:
        drawn = os.urandom(NOISE_BYTES * DRAWN)
        return [int.from_bytes(drawn[at : at + NOISE_BYTES]) for at in range(0, len(drawn), NOISE_BYTES)]


_noise = _Noise()


def new_id(now_ms: int) -> str:
    """A UUIDv7 of `now_ms` (Unix milliseconds) and 74 random bits."""
    noise = _noise()
    value = (now_ms << 80) | (7 << 76) | ((noise >> 68) << 64) | (2 << 62) | (noise & ((1 << 62) - 1))
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def first_id_at(ms: int) -> str:
    """The lowest UUIDv7 text of that millisecond: all older ids are below it."""
    text = f"{ms:012x}"
    return f"{text[:8]}-{text[8:]}-7000-8000-000000000000"


def created_ms(identifier: str) -> int:
    """The Unix milliseconds inside a UUIDv7."""
    return int(identifier[:8] + identifier[9:13], 16)


def rfc3339(ms: int) -> str:
    """Unix milliseconds as RFC 3339 UTC with milliseconds: `2026-11-24T08:00:00.000Z`."""
    return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    """Most times are told many times over within their second, and writing one out costs more than the rest of it."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def conversation_id(kind: str, channel: str, members: Iterable[str]) -> ConversationId:
    """The id of the one conversation of these members in this channel."""
    return _conversation_id(kind, channel, tuple(sorted(set(members))))


def broadcast_conversation_id(channel: str) -> ConversationId:
    """The id of the one conversation of all who hear a broadcast channel."""
    return conversation_id("broadcast", channel, ())


@lru_cache(maxsize=65536)
def _conversation_id(kind: str, channel: str, members: tuple[str, ...]) -> ConversationId:
    canonical = json.dumps([kind, channel, list(members)], separators=(",", ":"))
    return ConversationId(str(uuid.uuid5(_CONVERSATIONS, canonical)))
