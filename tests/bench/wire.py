"""WebSocket frames by hand (RFC 6455), as far as a load generator needs them."""

import base64
import os

TEXT, CLOSE, PING, PONG = 0x81, 0x88, 0x89, 0x8A  # the first byte of a frame that is whole
_SHORT, _MEDIUM = 126, 127  # lengths that stand for "in the next 2 bytes" and "in the next 8"
_MASKED = 0x80
_NO_MASK = bytes(4)  # clients must mask; masking with nought changes nothing and costs nothing


def client_frame(payload: bytes, *, first: int = TEXT) -> bytes:
    """Return a frame as a client sends it."""
    size = len(payload)
    if size < _SHORT:
        head = bytes((first, _MASKED | size))
    elif size < 1 << 16:
        head = bytes((first, _MASKED | _SHORT)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, _MASKED | _MEDIUM)) + size.to_bytes(8, "big")
    return head + _NO_MASK + payload


def cut(data: bytes) -> tuple[list[tuple[int, int, int]], int]:
    """Return (first byte, start, stop) of each whole frame of a server in `data`, and where the rest begins."""
    frames = []
    at, end = 0, len(data)
    while end - at >= 2:
        size, start = data[at + 1], at + 2
        if size >= _SHORT:
            wide = 2 if size == _SHORT else 8
            size, start = int.from_bytes(data[start : start + wide], "big"), start + wide
        if start + size > end:
            break
        frames.append((data[at], start, start + size))
        at = start + size
    return frames, at


def upgrade_request(*, host: str, path: str, subprotocol: str | None = None) -> bytes:
    """Return the handshake's request."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "Sec-WebSocket-Version: 13",
        *([f"Sec-WebSocket-Protocol: {subprotocol}"] if subprotocol else []),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
