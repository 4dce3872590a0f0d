"""Frames that are nearly right: commands of the contract with something in them changed, out of one seed."""

import copy
import json
import random
import struct
from typing import Any

Json = dict[str, Any]
NAMES = (
    "id",
    "send",
    "to",
    "user",
    "content",
    "type",
    "text",
    "ack",
    "s",
    "seq",
    "token",
    "from",
    "typing",
    "presence",
    "watch",
    "",
    "\0",
    "é",
    "$",
    "`",
)
JUNK: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**53, 2**63, -(2**63) - 1, 10**40, 0.5, -0.0, 1e308, "", "\0", "x", "é漢🎉",
    "\u202e\ufeff\u2028", "../../etc/passwd", "' OR 1=1 --", "%s%n{0}", "null", "1", [], {}, [[]], {"a": {}},
    [None] * 50, "x" * 129, "x" * 5_000, "2030-01-01T00:00:00Z", "00000000-0000-0000-0000-000000000000",
    "urgent", "media", "json",
)  # fmt: skip


def corpus(user: str, other: str, token: str, conversation: str, message: str, client_id: str) -> list[Json]:
    """A command of each kind, as it should be."""
    text = {"type": "text", "text": "hi"}
    to = {"user": other}
    return [
        {"send": {"to": to, "client_id": client_id, "content": text}},
        {"send": {"to": to, "client_id": client_id, "content": text, "priority": "high", "reply_to": message}},
        {"send": {"to": {"conversation": conversation}, "client_id": client_id, "content": text, "expires_in": 60}},
        {"send": {"to": to, "client_id": client_id, "content": {"type": "json", "data": {"a": [1, "b", None]}}}},
        {"read": {"conversation_id": conversation, "seq": 1}},
        {"typing": {"conversation_id": conversation}},
        {"presence": {"watch": [other, user]}},
        {"ack": {"e": 0, "s": 0, "be": 0, "bs": 0, "r": 0}},
        {"refresh": {"token": token}},
        {"connect": {"token": token, "device": {"id": "d", "platform": "web"}, "cursor": "x.e0.s0.be0.bs0.r0"}},
        {"ping": {}},
        {"pong": {}},
    ]


def mutate(command: Json, rng: random.Random) -> Json:
    """The command with up to three changes in its structure, its types, its sizes or its words."""
    changed = copy.deepcopy(command)
    for _ in range(rng.randrange(4)):
        _change(changed, rng)
    return changed


def _change(value: Json, rng: random.Random) -> None:
    holder: Any = value
    while True:  # go down to some place
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        inner = [key for key in keys if isinstance(holder[key], (dict, list)) and holder[key]]
        if not inner or rng.random() < 0.3:
            break
        holder = holder[rng.choice(inner)]
    if isinstance(holder, list):
        holder.append(_junk(rng))
    else:
        _change_object(holder, rng)


def _change_object(holder: Json, rng: random.Random) -> None:
    key = rng.choice(list(holder)) if holder else rng.choice(NAMES)
    match rng.randrange(6):
        case 0 | 1:
            holder[key] = _junk(rng)
        case 2:
            holder.pop(key, None)
        case 3:
            holder[rng.choice(NAMES) + rng.choice(("", "x", "_"))] = _junk(rng)
        case 4:
            holder[key] = [holder.get(key)]
        case _:
            holder[key] = {rng.choice(NAMES): holder.get(key)}


def _junk(rng: random.Random) -> Any:
    if rng.random() < 0.1:
        return "".join(
            chr(rng.choice((rng.randrange(1, 0xD800), rng.randrange(32, 127)))) for _ in range(rng.randrange(60))
        )
    return copy.deepcopy(rng.choice(JUNK))


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """The bytes with some of them changed, lost, doubled or moved."""
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(5):
            case 0:
                changed[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del changed[at : at + rng.randrange(1, 10)]
            case 2:
                changed[at:at] = rng.randbytes(rng.randrange(1, 10))
            case 3:
                changed[at:at] = changed[at : at + rng.randrange(1, 40)]
            case _:
                changed[at:at] = rng.choice((b"\\ud800", b"\\u0000", b"1e999", b"[" * 1500, b"9" * 5000, b"NaN", b'"'))
    return bytes(changed)


def garbage(rng: random.Random) -> bytes:
    """Bytes that mean nothing, or nearly a frame."""
    match rng.randrange(4):
        case 0:
            return rng.randbytes(rng.randrange(1, 300))
        case 1:
            return bytes([rng.randrange(256), rng.randrange(256)]) + rng.randbytes(rng.randrange(40))
        case 2:
            return b"\x81\xff" + struct.pack("!Q", rng.choice((0, 2**16, 2**31, 2**63, 2**64 - 1))) + rng.randbytes(20)
        case _:
            parts = (
                b"\x01\x80\0\0\0\0",
                b"\x00\x80\0\0\0\0",
                b"\x80\x80\0\0\0\0",
                b"\x89\x80\0\0\0\0",
                b"\x88\x80\0\0\0\0",
            )
            return b"".join(rng.choice(parts) for _ in range(rng.randrange(1, 50)))


def encode(command: Any) -> bytes:
    """Its JSON; sometimes with the characters themselves, sometimes with escapes is the reader's own choice."""
    return json.dumps(command, ensure_ascii=False).encode()
